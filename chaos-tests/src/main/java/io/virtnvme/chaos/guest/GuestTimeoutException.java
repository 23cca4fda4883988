package io.virtnvme.chaos.guest;

/**
 * The guest, or QEMU, did not answer within the time that the test allowed; the message says what
 * was awaited.
 */
public final class GuestTimeoutException extends RuntimeException {
  private static final long serialVersionUID = 1L;

  GuestTimeoutException(final String message) {
    super(message);
  }
}

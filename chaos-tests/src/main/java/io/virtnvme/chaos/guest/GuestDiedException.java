package io.virtnvme.chaos.guest;

/**
 * QEMU ended although the test still needed the guest; the message carries its exit status and its
 * last words.
 */
public final class GuestDiedException extends RuntimeException {
  private static final long serialVersionUID = 1L;

  GuestDiedException(final String message) {
    super(message);
  }
}

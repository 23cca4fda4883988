package io.virtnvme.tools.load;

/** The load cannot go on; the message says why. */
final class LoadException extends RuntimeException {
  private static final long serialVersionUID = 1L;

  LoadException(final String message) {
    super(message);
  }
}

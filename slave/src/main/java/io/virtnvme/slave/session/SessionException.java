package io.virtnvme.slave.session;

/**
 * What a front-end asked for, or what a session record says, cannot be done. The text names the
 * values and stands alone in a log.
 */
public final class SessionException extends RuntimeException {
  private static final long serialVersionUID = 1L;

  public SessionException(final String message) {
    super(message);
  }

  public SessionException(final String message, final Throwable cause) {
    super(message, cause);
  }
}

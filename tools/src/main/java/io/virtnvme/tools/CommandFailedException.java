package io.virtnvme.tools;

/** A command cannot do what was asked; the message says why and what to do. */
public final class CommandFailedException extends RuntimeException {
  private static final long serialVersionUID = 1L;

  public CommandFailedException(final String message) {
    super(message);
  }

  public CommandFailedException(final String message, final Throwable cause) {
    super(message, cause);
  }
}

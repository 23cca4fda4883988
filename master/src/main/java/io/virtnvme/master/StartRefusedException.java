package io.virtnvme.master;

/** The master does not start; the message says why and what to do, and nothing was overwritten. */
public final class StartRefusedException extends RuntimeException {
  private static final long serialVersionUID = 1L;

  public StartRefusedException(final String reason) {
    super(reason);
  }

  public StartRefusedException(final String reason, final Throwable cause) {
    super(reason, cause);
  }
}

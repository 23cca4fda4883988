package io.virtnvme.ipc.qpair;

/** A volume cannot be attached, a request failed, or the pair that served it is gone. */
public final class QpairException extends RuntimeException {
  private static final long serialVersionUID = 1L;

  public QpairException(final String problem) {
    super(problem);
  }

  public QpairException(final String problem, final Throwable cause) {
    super(problem, cause);
  }
}

package io.virtnvme.ipc.relay;

/** The other end of a master-slave connection is gone. */
public final class RelayClosedException extends RuntimeException {
  private static final long serialVersionUID = 1L;

  public RelayClosedException(final String reason) {
    super(reason);
  }
}

package io.virtnvme.ipc.relay;

/**
 * A message between master and slave that does not follow the protocol: the other side is broken,
 * its connection is closed.
 */
public final class RelayFormatException extends RuntimeException {
  private static final long serialVersionUID = 1L;

  public RelayFormatException(final String problem) {
    super(problem);
  }
}

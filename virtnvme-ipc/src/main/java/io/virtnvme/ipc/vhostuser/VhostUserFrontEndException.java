package io.virtnvme.ipc.vhostuser;

/**
 * The back-end refused, misbehaved, or did not answer in time. After {@link #disconnected} a {@link
 * VhostUserFrontEnd#reconnect} may help; after any other the configuration does not fit.
 */
public final class VhostUserFrontEndException extends RuntimeException {
  private static final long serialVersionUID = 1L;

  private final boolean disconnected;

  VhostUserFrontEndException(final String message, final boolean disconnected) {
    super(message);
    this.disconnected = disconnected;
  }

  /** True when the back-end is not there (any more), or too slow. */
  public boolean disconnected() {
    return disconnected;
  }
}

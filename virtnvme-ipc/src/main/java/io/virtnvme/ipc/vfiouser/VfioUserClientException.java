package io.virtnvme.ipc.vfiouser;

/** A server that is not there, refuses, or answers wrongly or too late. */
public final class VfioUserClientException extends RuntimeException {
  private static final long serialVersionUID = 1L;

  private final int errno;

  VfioUserClientException(final String message, final int errno) {
    super(message);
    this.errno = errno;
  }

  /** What the server refused with; 0 when it did not refuse. */
  public int errno() {
    return errno;
  }
}

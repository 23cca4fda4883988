package io.virtnvme.ipc.nvme.client;

/** A controller that does not do what its specification says. */
public final class NvmeClientException extends RuntimeException {
  private static final long serialVersionUID = 1L;

  private final int status;

  NvmeClientException(final String message, final int status) {
    super(message);
    this.status = status;
  }

  /** Status of the command that failed, without phase; 0 when it was none. */
  public int status() {
    return status;
  }
}

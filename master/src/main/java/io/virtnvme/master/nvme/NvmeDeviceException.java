package io.virtnvme.master.nvme;

/**
 * A device cannot be taken, or does not do what its specification says. The message is a sentence
 * for the operator.
 */
public final class NvmeDeviceException extends RuntimeException {
  private static final long serialVersionUID = 1L;

  private final int errno;
  private final int status;

  NvmeDeviceException(final int errno, final String message) {
    this(errno, message, 0);
  }

  NvmeDeviceException(final int errno, final String message, final int status) {
    super(message);
    this.errno = errno;
    this.status = status;
  }

  NvmeDeviceException(final int errno, final String message, final Throwable cause) {
    super(message, cause);
    this.errno = errno;
    this.status = 0;
  }

  /** What kind of failure it is, as one of {@link io.virtnvme.ipc.sys.Errno}. */
  public int errno() {
    return errno;
  }

  /** Status of the admin command that the controller refused, without phase; 0 when it was none. */
  int status() {
    return status;
  }
}

package io.virtnvme.master.nvme;

/**
 * A device cannot be taken, or does not do what its specification says. The message is a sentence
 * for the operator.
 */
public final class NvmeDeviceException extends RuntimeException {
  private static final long serialVersionUID = 1L;

  private final int errno;
  private final int status;
  private final Trouble trouble;

  NvmeDeviceException(final int errno, final String message) {
    this(errno, message, Trouble.CONTROLLER, 0, null);
  }

  NvmeDeviceException(final int errno, final Trouble trouble, final String message) {
    this(errno, message, trouble, 0, null);
  }

  NvmeDeviceException(final int errno, final String message, final int status) {
    this(errno, message, Trouble.ADMIN, status, null);
  }

  NvmeDeviceException(final int errno, final String message, final Throwable cause) {
    this(errno, message, Trouble.CONTROLLER, 0, cause);
  }

  private NvmeDeviceException(
      final int errno,
      final String message,
      final Trouble trouble,
      final int status,
      final Throwable cause) {
    super(message, cause);
    this.errno = errno;
    this.trouble = trouble;
    this.status = status;
  }

  /** What kind of failure it is, as one of {@link io.virtnvme.ipc.sys.Errno}. */
  public int errno() {
    return errno;
  }

  /** What kind of trouble a device is in that was brought up before. */
  Trouble trouble() {
    return trouble;
  }

  /** Status of the admin command that the controller refused, without phase; 0 when it was none. */
  int status() {
    return status;
  }
}

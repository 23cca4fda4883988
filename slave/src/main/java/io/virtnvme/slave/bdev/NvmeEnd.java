package io.virtnvme.slave.bdev;

import io.virtnvme.ipc.nvme.Status;
import io.virtnvme.ipc.sys.Errno;

/** What the status of a device's completion means for a request. Pure functions. */
final class NvmeEnd {
  /** Of {@link #of}: not the medium's fault; the same command may succeed. */
  static final int AGAIN = BlockChannel.RETRY;

  private static final int TYPE_GENERIC = 0;
  private static final int TYPE_COMMAND_SPECIFIC = 1;
  private static final int TYPE_MEDIA = 2;

  private NvmeEnd() {}

  /** {@link BlockChannel#DONE}, {@link #AGAIN}, or a negative error number for the guest. */
  static int of(final int status) {
    if (Status.typeAndCode(status) == Status.SUCCESS) {
      return BlockChannel.DONE;
    }
    final int errno = errno(status);
    if (errno != 0) {
      return -errno;
    }
    return (status & Status.DO_NOT_RETRY) != 0 ? -Errno.EIO : AGAIN;
  }

  /** Whether the medium has lost data, or could not take it. */
  static boolean isMedia(final int status) {
    return Status.type(status) == TYPE_MEDIA;
  }

  /** The error that no repetition changes, or 0. */
  private static int errno(final int status) {
    return switch (Status.type(status)) {
      case TYPE_GENERIC -> generic(Status.typeAndCode(status));
      case TYPE_COMMAND_SPECIFIC ->
          Status.typeAndCode(status) == Status.WRITE_TO_READ_ONLY_RANGE ? Errno.EROFS : Errno.EIO;
      case TYPE_MEDIA -> Errno.EIO;
      // Path related, and what a vendor says: the link or the controller, unless it forbids another
      // try.
      default -> 0;
    };
  }

  private static int generic(final int code) {
    return switch (code) {
      case Status.DATA_TRANSFER_ERROR,
          Status.ABORTED_POWER_LOSS,
          Status.INTERNAL_ERROR,
          Status.ABORTED_BY_REQUEST,
          Status.ABORTED_SQ_DELETION,
          Status.COMMAND_INTERRUPTED,
          Status.TRANSIENT_TRANSPORT_ERROR,
          Status.NAMESPACE_NOT_READY ->
          0;
      case Status.NAMESPACE_WRITE_PROTECTED -> Errno.EROFS;
      case Status.CAPACITY_EXCEEDED -> Errno.ENOSPC;
      default -> Errno.EIO;
    };
  }
}

package io.virtnvme.slave.bdev;

import io.virtnvme.ipc.memory.Mem;
import io.virtnvme.ipc.sys.Errno;

/**
 * One reactor's access to a memory disk: copies that are over when submit returns. Only long runs
 * of zeroes are written in slices, so that they do not hold up the reactor's other queues.
 */
final class MemChannel implements BlockChannel {
  private final MemBdev bdev;
  private final UringReactorIo io;
  private final DirtyTracking tracking;
  private final int blockBytes;
  private final boolean readOnly;

  MemChannel(final MemBdev bdev, final UringReactorIo io) {
    this.bdev = bdev;
    this.io = io;
    this.tracking = bdev.tracking();
    this.blockBytes = bdev.description().blockBytes();
    this.readOnly = bdev.description().readOnly();
  }

  @Override
  public int submit(
      final int operation,
      final long iovecs,
      final int iovecCount,
      final long offsetBytes,
      final long lengthBytes,
      final int flags,
      final long tag) {
    if (operation == OP_FLUSH) {
      return DONE;
    }
    final MemBdev.Extent extent = bdev.extent();
    if (!Iovecs.inRange(offsetBytes, lengthBytes, extent.lengthBytes())) {
      return -Errno.EINVAL;
    }
    if (readOnly && operation != OP_READ) {
      return -Errno.EROFS;
    }
    final long blocks = extent.address() + offsetBytes;
    if (operation == OP_READ) {
      return read(iovecs, iovecCount, blocks, lengthBytes);
    }
    tracking.begin(offsetBytes, lengthBytes);
    final int result =
        switch (operation) {
          case OP_WRITE -> write(iovecs, iovecCount, blocks, lengthBytes);
          // The pages were reserved when the disk was made and stay: a disk that gave them back
          // could meet a full tmpfs later, and that is a SIGBUS.
          case OP_WRITE_ZEROES, OP_UNMAP -> zero(blocks, offsetBytes, lengthBytes, tag);
          default -> -Errno.EOPNOTSUPP;
        };
    tracking.end(offsetBytes, lengthBytes);
    return result;
  }

  private static int read(
      final long iovecs, final int iovecCount, final long blocks, final long lengthBytes) {
    long source = blocks;
    final long end = blocks + lengthBytes;
    for (int i = 0; i < iovecCount; i++) {
      final long iovec = Iovecs.at(iovecs, i);
      final long length = Iovecs.length(iovec);
      if (length < 0 || length > end - source) {
        return -Errno.EINVAL;
      }
      Mem.copy(source, Iovecs.address(iovec), length);
      source += length;
    }
    return source == end ? DONE : -Errno.EINVAL;
  }

  private static int write(
      final long iovecs, final int iovecCount, final long blocks, final long lengthBytes) {
    long destination = blocks;
    final long end = blocks + lengthBytes;
    for (int i = 0; i < iovecCount; i++) {
      final long iovec = Iovecs.at(iovecs, i);
      final long length = Iovecs.length(iovec);
      if (length < 0 || length > end - destination) {
        return -Errno.EINVAL;
      }
      Mem.copy(Iovecs.address(iovec), destination, length);
      destination += length;
    }
    return destination == end ? DONE : -Errno.EINVAL;
  }

  private int zero(
      final long blocks, final long offsetBytes, final long lengthBytes, final long tag) {
    if (lengthBytes <= ZeroFills.SLICE_BYTES) {
      Mem.fill(blocks, lengthBytes, (byte) 0);
      return DONE;
    }
    return !io.isRecovering() && io.zeroFills().add(blocks, lengthBytes, tag, tracking, offsetBytes)
        ? PENDING
        : RETRY;
  }

  @Override
  public long lengthBytes() {
    return bdev.extent().lengthBytes();
  }

  @Override
  public int blockBytes() {
    return blockBytes;
  }
}

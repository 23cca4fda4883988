package io.virtnvme.slave.bdev;

import io.virtnvme.ipc.sys.Errno;

/**
 * One reactor's access to a file or disk. Has room for a fixed number of requests of its own, so
 * that a slow disk never takes the room of another one.
 */
final class UringChannel implements BlockChannel {
  /** Requests of one disk in flight on one reactor. */
  static final int REQUEST_COUNT = 256;

  /** Bounce buffers that one disk may hold at a time. */
  private static final int BOUNCE_COUNT_MAX = BouncePool.BUFFER_COUNT / 4;

  private final UringBdev bdev;
  private final UringReactorIo io;
  private final DirtyTracking tracking;
  private final int blockBytes;
  private final boolean readOnly;
  private final int addressMask;
  private final int lengthMask;
  private final UringRequest[] free = new UringRequest[REQUEST_COUNT];
  private int freeCount;
  private int bounceCount;

  UringChannel(final UringBdev bdev, final UringReactorIo io) {
    this.bdev = bdev;
    this.io = io;
    this.tracking = bdev.tracking();
    this.blockBytes = bdev.description().blockBytes();
    this.readOnly = bdev.readOnly();
    this.addressMask = bdev.alignment().memoryBytes() - 1;
    this.lengthMask = bdev.alignment().offsetBytes() - 1;
  }

  UringBdev bdev() {
    return bdev;
  }

  UringReactorIo io() {
    return io;
  }

  int lengthMask() {
    return lengthMask;
  }

  boolean isIdle() {
    return freeCount == REQUEST_COUNT;
  }

  void reset() {
    freeCount = 0;
    bounceCount = 0;
  }

  /** Takes a request (back) that nothing refers to any more. */
  void release(final UringRequest request) {
    free[freeCount++] = request;
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
    if (operation < OP_READ || operation > OP_UNMAP) {
      return -Errno.EOPNOTSUPP;
    }
    if (operation != OP_FLUSH) {
      if (!Iovecs.inRange(offsetBytes, lengthBytes, bdev.lengthBytes())) {
        return -Errno.EINVAL;
      }
      if (readOnly && operation != OP_READ) {
        return -Errno.EROFS;
      }
      if (lengthBytes == 0) {
        return DONE;
      }
    }
    if (freeCount == 0 || io.isRecovering()) {
      return RETRY;
    }
    return operation <= OP_WRITE
        ? transfer(operation, iovecs, iovecCount, offsetBytes, lengthBytes, flags, tag)
        : other(operation, offsetBytes, lengthBytes, flags, tag);
  }

  /** A change has ended, well or not, and nobody has been told so. */
  void onChanged(final long offsetBytes, final long lengthBytes) {
    tracking.end(offsetBytes, lengthBytes);
  }

  private int transfer(
      final int operation,
      final long iovecs,
      final int iovecCount,
      final long offsetBytes,
      final long lengthBytes,
      final int flags,
      final long tag) {
    if (Iovecs.sum(iovecs, iovecCount) != lengthBytes) {
      return -Errno.EINVAL;
    }
    int bounce = BouncePool.NONE;
    if (!Iovecs.aligned(iovecs, iovecCount, addressMask, lengthMask)) {
      bounce = bounceCount < BOUNCE_COUNT_MAX ? io.bouncePool().acquire() : BouncePool.NONE;
      if (bounce == BouncePool.NONE) {
        return RETRY;
      }
      bounceCount++;
    }
    final UringRequest request = free[--freeCount];
    if (operation == OP_WRITE) {
      tracking.begin(offsetBytes, lengthBytes);
    }
    request.beginTransfer(
        operation == OP_WRITE, iovecs, iovecCount, offsetBytes, lengthBytes, flags, tag, bounce);
    io.start(request);
    return PENDING;
  }

  private int other(
      final int operation,
      final long offsetBytes,
      final long lengthBytes,
      final int flags,
      final long tag) {
    if (operation == OP_UNMAP && bdev.punchHoleMissing()) {
      // Virtio 1.2, 5.2.6: a discard is a hint. Without a way to give the blocks back there is
      // nothing to do.
      return DONE;
    }
    final UringRequest request = free[--freeCount];
    if (operation != OP_FLUSH) {
      tracking.begin(offsetBytes, lengthBytes);
    }
    request.beginOther(operation, offsetBytes, lengthBytes, flags, tag);
    io.start(request);
    return PENDING;
  }

  void releaseBounce(final int bounce) {
    io.bouncePool().release(bounce);
    bounceCount--;
  }

  @Override
  public long lengthBytes() {
    return bdev.lengthBytes();
  }

  @Override
  public int blockBytes() {
    return blockBytes;
  }
}

package io.virtnvme.slave.bdev;

import io.virtnvme.ipc.sys.Errno;
import io.virtnvme.ipc.sys.IoUring;

/**
 * A request to a file or disk and how far it got: it goes to the kernel in one or more pieces, one
 * at a time. Made once and used again and again by its reactor thread.
 */
final class UringRequest {
  /** What the next piece is. */
  private enum Step {
    READ,
    WRITE,
    PUNCH_HOLE,
    ZERO_RANGE,
    WRITE_ZEROES,
    SYNC
  }

  /** Limits of one piece; the kernel's are 1024 iovecs and 2 GiB less a page. */
  private static final int PIECE_IOVECS_MAX = 1024;

  private static final int PIECE_BYTES_MAX = 1 << 30;

  /** Times the kernel may say EAGAIN or EINTR without any progress. */
  private static final int RETRIES_MAX = 1000;

  private static final int FALLOCATE_KEEP_SIZE = 1;
  private static final int FALLOCATE_PUNCH_HOLE = 2;
  private static final int FALLOCATE_ZERO_RANGE = 16;

  private final UringChannel channel;
  private final UringBdev bdev;
  private final int index;

  private Step step;
  private long tag;
  private int flags;

  /** An unmap: it succeeds where the file system cannot. */
  private boolean isHint;

  private long iovecs;
  private int iovecCount;
  private int bounce = BouncePool.NONE;

  /** Where the next piece starts: offset on the disk, and place in the iovecs. */
  private long offsetBytes;

  private long remainingBytes;

  /** What it changes as a whole; nothing for a read or a flush. */
  private long changedOffsetBytes;

  private long changedBytes;
  private int iovecIndex;
  private long iovecUsedBytes;
  private int retryCount;

  /** Links requests that wait for room in the ring. */
  private UringRequest next;

  UringRequest(final UringChannel channel, final int index) {
    this.channel = channel;
    this.bdev = channel.bdev();
    this.index = index;
  }

  void beginTransfer(
      final boolean write,
      final long newIovecs,
      final int newIovecCount,
      final long newOffsetBytes,
      final long lengthBytes,
      final int newFlags,
      final long newTag,
      final int newBounce) {
    begin(write ? Step.WRITE : Step.READ, newOffsetBytes, lengthBytes, newFlags, newTag);
    iovecs = newIovecs;
    iovecCount = newIovecCount;
    iovecIndex = 0;
    iovecUsedBytes = 0;
    bounce = newBounce;
  }

  void beginOther(
      final int operation,
      final long newOffsetBytes,
      final long lengthBytes,
      final int newFlags,
      final long newTag) {
    final Step first;
    if (operation == BlockChannel.OP_FLUSH) {
      first = Step.SYNC;
    } else if (operation == BlockChannel.OP_UNMAP) {
      first = Step.PUNCH_HOLE;
    } else if ((newFlags & BlockChannel.FLAG_UNMAP) != 0 && !bdev.punchHoleMissing()) {
      first = Step.PUNCH_HOLE;
    } else {
      first = bdev.zeroRangeMissing() ? Step.WRITE_ZEROES : Step.ZERO_RANGE;
    }
    // A discarded range has no content that could be lost, so only its opposite needs FLAG_DURABLE.
    final int kept =
        operation == BlockChannel.OP_UNMAP ? newFlags & ~BlockChannel.FLAG_DURABLE : newFlags;
    begin(first, newOffsetBytes, lengthBytes, kept, newTag);
    isHint = operation == BlockChannel.OP_UNMAP;
  }

  private void begin(
      final Step first,
      final long newOffsetBytes,
      final long lengthBytes,
      final int newFlags,
      final long newTag) {
    step = first;
    offsetBytes = newOffsetBytes;
    remainingBytes = lengthBytes;
    flags = newFlags;
    tag = newTag;
    retryCount = 0;
    isHint = false;
    changedOffsetBytes = newOffsetBytes;
    changedBytes = first == Step.READ || first == Step.SYNC ? 0 : lengthBytes;
  }

  long tag() {
    return tag;
  }

  UringRequest next() {
    return next;
  }

  void next(final UringRequest request) {
    next = request;
  }

  /** Marks what it changed: it has ended. */
  void markChanged() {
    if (changedBytes != 0) {
      channel.onChanged(changedOffsetBytes, changedBytes);
    }
  }

  /** Frees the request and what it holds. */
  void end() {
    if (bounce != BouncePool.NONE) {
      channel.releaseBounce(bounce);
      bounce = BouncePool.NONE;
    }
    channel.release(this);
  }

  /** Frees the request without a look at what it holds: all of that is free already. */
  void reset() {
    bounce = BouncePool.NONE;
    next = null;
    channel.release(this);
  }

  /** Whether its next completion copies to guest memory. */
  boolean mustScatter() {
    return step == Step.READ && bounce != BouncePool.NONE;
  }

  /** Puts the next piece into the ring, which has room for it. */
  void prepare(final IoUring ring) {
    switch (step) {
      case READ -> prepareTransfer(ring, false);
      case WRITE -> prepareTransfer(ring, true);
      case PUNCH_HOLE -> prepareAllocate(ring, FALLOCATE_PUNCH_HOLE | FALLOCATE_KEEP_SIZE);
      case ZERO_RANGE -> prepareAllocate(ring, FALLOCATE_ZERO_RANGE | FALLOCATE_KEEP_SIZE);
      case WRITE_ZEROES ->
          ring.prepare(
              IoUring.OP_WRITE,
              bdev.fd(),
              offsetBytes,
              channel.io().bouncePool().zeroes(),
              (int) Math.min(remainingBytes, BouncePool.ZERO_BYTES),
              writeFlags(),
              0,
              index);
      case SYNC ->
          ring.prepare(IoUring.OP_FSYNC, bdev.fd(), 0, 0, 0, IoUring.FSYNC_DATASYNC, 0, index);
    }
  }

  private void prepareAllocate(final IoUring ring, final int mode) {
    ring.prepare(IoUring.OP_FALLOCATE, bdev.fd(), offsetBytes, remainingBytes, mode, 0, 0, index);
  }

  private int writeFlags() {
    return (flags & BlockChannel.FLAG_DURABLE) != 0 ? IoUring.RWF_DSYNC : 0;
  }

  private void prepareTransfer(final IoUring ring, final boolean write) {
    final int operationFlags = write ? writeFlags() : 0;
    if (bounce != BouncePool.NONE) {
      final int length = (int) Math.min(remainingBytes, BouncePool.BUFFER_BYTES);
      final long buffer = channel.io().bouncePool().address(bounce);
      if (write) {
        gather(buffer, length);
      }
      single(ring, write, buffer, length, operationFlags);
      return;
    }
    final long iovec = Iovecs.at(iovecs, iovecIndex);
    final int left = iovecCount - iovecIndex;
    if (left == 1 || iovecUsedBytes > 0) {
      final long length = Math.min(Iovecs.length(iovec) - iovecUsedBytes, PIECE_BYTES_MAX);
      single(ring, write, Iovecs.address(iovec) + iovecUsedBytes, (int) length, operationFlags);
      return;
    }
    ring.prepare(
        write ? IoUring.OP_WRITEV : IoUring.OP_READV,
        bdev.fd(),
        offsetBytes,
        iovec,
        Math.min(left, PIECE_IOVECS_MAX),
        operationFlags,
        0,
        index);
  }

  private void single(
      final IoUring ring,
      final boolean write,
      final long address,
      final int length,
      final int operationFlags) {
    ring.prepare(
        write ? IoUring.OP_WRITE : IoUring.OP_READ,
        bdev.fd(),
        offsetBytes,
        address,
        length,
        operationFlags,
        0,
        index);
  }

  /**
   * Takes the result of a piece. {@link BlockChannel#PENDING} when there is another one to prepare,
   * else how the request ended.
   */
  int onCompletion(final int result) {
    if (result == -Errno.EAGAIN || result == -Errno.EINTR) {
      retryCount++;
      return retryCount <= RETRIES_MAX ? BlockChannel.PENDING : -Errno.EIO;
    }
    return switch (step) {
      case READ, WRITE, WRITE_ZEROES -> onTransferred(result);
      case PUNCH_HOLE, ZERO_RANGE -> onAllocated(result);
      case SYNC -> Math.min(result, 0);
    };
  }

  private int onTransferred(final int result) {
    if (result < 0) {
      return result;
    }
    // A short transfer may end anywhere, but the next one must start aligned. Nothing left after
    // rounding: the file ends here, somebody cut it.
    final long length = result == remainingBytes ? result : result & ~(long) channel.lengthMask();
    if (length == 0 || length > remainingBytes) {
      return -Errno.EIO;
    }
    if (mustScatter()) {
      scatter(channel.io().bouncePool().address(bounce), length);
    }
    if (step != Step.WRITE_ZEROES) {
      skip(length);
    }
    offsetBytes += length;
    remainingBytes -= length;
    retryCount = 0;
    return remainingBytes == 0 ? BlockChannel.DONE : BlockChannel.PENDING;
  }

  private int onAllocated(final int result) {
    if (result >= 0) {
      if ((flags & BlockChannel.FLAG_DURABLE) == 0) {
        return BlockChannel.DONE;
      }
      step = Step.SYNC;
      return BlockChannel.PENDING;
    }
    final boolean missing = result == -Errno.EOPNOTSUPP || result == -Errno.ENOSYS;
    if (!missing && result != -Errno.EINVAL && result != -Errno.ENODEV) {
      return result;
    }
    if (step == Step.PUNCH_HOLE) {
      if (missing) {
        bdev.onPunchHoleMissing();
      }
      if (isHint) {
        return BlockChannel.DONE;
      }
      step = bdev.zeroRangeMissing() ? Step.WRITE_ZEROES : Step.ZERO_RANGE;
    } else {
      if (missing) {
        bdev.onZeroRangeMissing();
      }
      step = Step.WRITE_ZEROES;
    }
    return BlockChannel.PENDING;
  }

  /** Moves the place in the iovecs on. */
  private void skip(final long lengthBytes) {
    long left = lengthBytes;
    while (iovecIndex < iovecCount) {
      final long available = Iovecs.length(Iovecs.at(iovecs, iovecIndex)) - iovecUsedBytes;
      if (left < available) {
        iovecUsedBytes += left;
        return;
      }
      left -= available;
      iovecIndex++;
      iovecUsedBytes = 0;
    }
  }

  private void gather(final long buffer, final long lengthBytes) {
    Iovecs.copy(iovecs, iovecCount, iovecIndex, iovecUsedBytes, buffer, lengthBytes, true);
  }

  private void scatter(final long buffer, final long lengthBytes) {
    Iovecs.copy(iovecs, iovecCount, iovecIndex, iovecUsedBytes, buffer, lengthBytes, false);
  }
}

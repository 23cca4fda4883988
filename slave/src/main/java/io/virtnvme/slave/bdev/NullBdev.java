package io.virtnvme.slave.bdev;

import io.virtnvme.ipc.relay.BdevDescription;
import io.virtnvme.ipc.sys.Errno;

/**
 * Completes everything at once and moves no byte; for measuring the rest of the path. Any reactor.
 */
final class NullBdev implements Bdev, BlockChannel {
  private final RateLimits limits = new RateLimits();
  private final int blockBytes;
  private volatile BdevDescription description;
  private volatile long lengthBytes;

  NullBdev(final BdevDescription description) {
    this.description = description;
    this.blockBytes = description.blockBytes();
    this.lengthBytes = description.lengthBytes();
  }

  @Override
  public BdevDescription description() {
    return description;
  }

  @Override
  public boolean needsFence() {
    return false;
  }

  @Override
  public boolean tryFence() {
    return true;
  }

  @Override
  public BlockChannel channel(final ReactorIo io) {
    return this;
  }

  @Override
  public void resize(final long blockCount) {
    description = description.withBlockCount(blockCount);
    lengthBytes = description.lengthBytes();
  }

  @Override
  public int submit(
      final int operation,
      final long iovecs,
      final int iovecCount,
      final long offsetBytes,
      final long requestBytes,
      final int flags,
      final long tag) {
    return operation == OP_FLUSH || Iovecs.inRange(offsetBytes, requestBytes, lengthBytes)
        ? DONE
        : -Errno.EINVAL;
  }

  @Override
  public long lengthBytes() {
    return lengthBytes;
  }

  @Override
  public int blockBytes() {
    return blockBytes;
  }

  @Override
  public RateLimits limits() {
    return limits;
  }

  @Override
  public void close() {}
}

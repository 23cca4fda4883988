package io.virtnvme.slave.benchmark;

import io.virtnvme.ipc.relay.BdevDescription;
import io.virtnvme.slave.bdev.Bdev;
import io.virtnvme.slave.bdev.BlockChannel;
import io.virtnvme.slave.bdev.ReactorIo;
import io.virtnvme.slave.ring.RingAgent;

/** Takes every request and ends them when it is told so. */
public final class HeldDisk implements Bdev, BlockChannel {
  private static final int REQUESTS_MAX = DataPathBenchmark.QUEUE_SIZE;

  private final long[] tags = new long[REQUESTS_MAX];
  private int count;

  int heldCount() {
    return count;
  }

  /** Ends everything, in the order in which it came. */
  void endAll(final RingAgent agent) {
    for (int i = 0; i < count; i++) {
      agent.onIoEnd((int) tags[i], DONE);
    }
    count = 0;
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
    tags[count++] = tag;
    return PENDING;
  }

  @Override
  public BdevDescription description() {
    return new BdevDescription(
        "held",
        BdevDescription.Kind.NULL,
        Guest.REQUEST_BYTES,
        BenchmarkDisk.BLOCK_COUNT,
        "",
        false,
        "held");
  }

  @Override
  public long lengthBytes() {
    return BenchmarkDisk.BLOCK_COUNT * Guest.REQUEST_BYTES;
  }

  @Override
  public int blockBytes() {
    return Guest.REQUEST_BYTES;
  }

  @Override
  public BlockChannel channel(final ReactorIo io) {
    return this;
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
  public void resize(final long blockCount) {
    throw new UnsupportedOperationException("a disk of a fixed length");
  }

  @Override
  public void close() {}
}

package io.virtnvme.slave.bdev;

import static io.virtnvme.slave.bdev.BdevHarness.BLOCK_BYTES;
import static org.junit.jupiter.api.Assertions.assertEquals;

import com.sun.management.ThreadMXBean;
import io.virtnvme.ipc.relay.BdevDescription;
import io.virtnvme.ipc.segment.MemDiskSegment;
import io.virtnvme.ipc.segment.SegmentDirectory;
import java.io.IOException;
import java.lang.management.ManagementFactory;
import java.nio.file.Path;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class BdevAllocationTest {
  private static final int WARM_UP_ROUNDS = 200;
  private static final int MEASURED_ROUNDS = 700;
  private static final int WINDOWS = 3;
  private static final int DISK_BYTES = 4 << 20;
  private static final int LENGTH_BYTES = 8 * BLOCK_BYTES;

  @TempDir private Path folder;

  @Test
  void shouldNotAllocatePerRequestOnAFile() throws IOException {
    final Path path = BdevHarness.sparseFile(folder.resolve("disk"), DISK_BYTES);
    try (BdevHarness harness = new BdevHarness(UringBdev.open(BdevHarness.file(path)))) {
      assertEquals(0, allocatedBytes(harness));
    }
  }

  @Test
  void shouldNotAllocatePerRequestInMemory() {
    final SegmentDirectory segments = BdevHarness.segments(folder);
    final BdevDescription description = BdevHarness.mem("m0", DISK_BYTES / BLOCK_BYTES);
    MemDiskSegment.create(segments, "m0", DISK_BYTES).close();
    try (BdevHarness harness = new BdevHarness(Bdevs.open(description, segments))) {
      assertEquals(0, allocatedBytes(harness));
    }
  }

  private static long allocatedBytes(final BdevHarness harness) {
    final ThreadMXBean threads = (ThreadMXBean) ManagementFactory.getThreadMXBean();
    final ReactorIo.Listener listener =
        (tag, result) -> {
          if (result != 0) {
            throw new AssertionError("request " + tag + " failed: " + result);
          }
        };
    final int count = harness.scatter(0, LENGTH_BYTES, 3, BLOCK_BYTES);
    for (int i = 0; i < WARM_UP_ROUNDS; i++) {
      round(harness, listener, count);
    }
    // The JVM allocates once here and there (the first call of the bean, a class loaded late); what
    // a
    // request allocates shows in every window.
    long least = Long.MAX_VALUE;
    for (int window = 0; window < WINDOWS; window++) {
      final long before = threads.getCurrentThreadAllocatedBytes();
      for (int i = 0; i < MEASURED_ROUNDS; i++) {
        round(harness, listener, count);
      }
      least = Math.min(least, threads.getCurrentThreadAllocatedBytes() - before);
    }
    return least;
  }

  /** Aligned and unaligned, one iovec and several, and a run of zeroes longer than a slice. */
  private static void round(
      final BdevHarness harness, final ReactorIo.Listener listener, final int count) {
    final BlockChannel channel = harness.channel();
    final long iovecs = harness.iovecs();
    final long last = Iovecs.at(iovecs, count);
    Iovecs.put(last, harness.buffer() + (1 << 20) + 1, LENGTH_BYTES);
    channel.submit(BlockChannel.OP_READ, iovecs, count, 0, LENGTH_BYTES, 0, 1);
    channel.submit(BlockChannel.OP_WRITE, iovecs, count, 1 << 20, LENGTH_BYTES, 0, 2);
    channel.submit(BlockChannel.OP_READ, last, 1, 0, LENGTH_BYTES, 0, 3);
    channel.submit(BlockChannel.OP_WRITE, last, 1, 2 << 20, LENGTH_BYTES, 0, 4);
    channel.submit(BlockChannel.OP_WRITE_ZEROES, 0, 0, 3 << 20, 1 << 19, 0, 5);
    while (harness.io().inFlightCount() > 0) {
      harness.io().poll(listener, 32);
    }
  }
}

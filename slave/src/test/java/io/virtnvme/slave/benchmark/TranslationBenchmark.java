package io.virtnvme.slave.benchmark;

import io.virtnvme.slave.virtqueue.GuestMemory;
import io.virtnvme.slave.virtqueue.MemoryRegion;
import java.util.ArrayList;
import java.util.List;
import java.util.SplittableRandom;
import org.openjdk.jmh.annotations.Benchmark;
import org.openjdk.jmh.annotations.OperationsPerInvocation;
import org.openjdk.jmh.annotations.Setup;

/** Guest addresses, one after the other: a rate, not a latency. Nothing is mapped or touched. */
public class TranslationBenchmark extends DataPathBenchmark {
  private static final int OPERATIONS = 256;
  private static final int SMALL_REGIONS = 7;
  private static final long SMALL_BYTES = 1L << 28;
  private static final long LARGE_BYTES = 1L << 32;
  private static final long HOST_BASE = 0x7000_0000_0000L;
  private static final int BUFFER_BYTES = 4096;

  private final long[] inLargest = new long[OPERATIONS];
  private final long[] inOthers = new long[OPERATIONS];
  private GuestMemory memory;

  /** Eight regions with holes between them, the largest last. */
  @Setup
  public void open() {
    final List<MemoryRegion> regions = new ArrayList<>();
    for (int i = 0; i < SMALL_REGIONS; i++) {
      regions.add(region(smallStart(i), SMALL_BYTES));
    }
    regions.add(region(smallStart(SMALL_REGIONS), LARGE_BYTES));
    memory = GuestMemory.of(regions);
    final SplittableRandom random = new SplittableRandom(1);
    for (int i = 0; i < OPERATIONS; i++) {
      inLargest[i] = smallStart(SMALL_REGIONS) + random.nextLong(LARGE_BYTES - BUFFER_BYTES);
      inOthers[i] =
          smallStart(random.nextInt(SMALL_REGIONS)) + random.nextLong(SMALL_BYTES - BUFFER_BYTES);
    }
  }

  private static long smallStart(final int index) {
    return 2 * SMALL_BYTES * index;
  }

  private static MemoryRegion region(final long start, final long lengthBytes) {
    return new MemoryRegion(start, start, lengthBytes, HOST_BASE + start, -1, 0);
  }

  /** Nearly every address of a guest. */
  @Benchmark
  @OperationsPerInvocation(OPERATIONS)
  public long inLargestRegion() {
    return translateAll(inLargest);
  }

  /** The rest. */
  @Benchmark
  @OperationsPerInvocation(OPERATIONS)
  public long inOtherRegion() {
    return translateAll(inOthers);
  }

  private long translateAll(final long[] addresses) {
    long sum = 0;
    for (final long address : addresses) {
      sum += memory.translate(address, BUFFER_BYTES);
    }
    return sum;
  }
}

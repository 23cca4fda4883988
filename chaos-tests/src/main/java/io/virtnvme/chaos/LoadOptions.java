package io.virtnvme.chaos;

import io.virtnvme.tools.pair.FrontEnd;
import java.util.ArrayList;
import java.util.List;

/**
 * What a {@link LoadProcess} does.
 *
 * @param blockCount blocks of 4 KiB, all zero at the start
 * @param queueDepth requests in flight per queue
 * @param frontEnd what the disk is seen as
 * @param thinkUs pause between two bursts, microseconds; 0 keeps both cores busy
 */
record LoadOptions(
    int blockCount,
    int queueCount,
    int queueDepth,
    boolean packed,
    long seed,
    FrontEnd frontEnd,
    int thinkUs) {
  static final int BLOCK_COUNT = 8192;
  private static final int THINK_US = 500;

  /** Two queues, 16 requests each, split rings. */
  static LoadOptions usual(final long seed) {
    return new LoadOptions(BLOCK_COUNT, 2, 16, false, seed, FrontEnd.BLK, 0);
  }

  /**
   * Thousands of requests a second that leave time on both cores: for tests in which processes have
   * to start and warm up beside it.
   */
  static LoadOptions withPauses(final long seed) {
    return new LoadOptions(BLOCK_COUNT, 2, 16, false, seed, FrontEnd.BLK, THINK_US);
  }

  LoadOptions withPacked(final boolean nowPacked) {
    return new LoadOptions(blockCount, queueCount, queueDepth, nowPacked, seed, frontEnd, thinkUs);
  }

  /** On an NVMe controller. */
  LoadOptions onNvme() {
    return new LoadOptions(blockCount, queueCount, queueDepth, false, seed, FrontEnd.NVME, thinkUs);
  }

  LoadOptions withBlockCount(final int count) {
    return new LoadOptions(count, queueCount, queueDepth, packed, seed, frontEnd, thinkUs);
  }

  LoadOptions withQueueDepth(final int depth) {
    return new LoadOptions(blockCount, queueCount, depth, packed, seed, frontEnd, thinkUs);
  }

  /** For {@code virtnvme load}. */
  List<String> arguments() {
    final List<String> arguments =
        new ArrayList<>(
            List.of(
                "--front-end",
                frontEnd.name(),
                "--blocks",
                Integer.toString(blockCount),
                "--queue-depth",
                Integer.toString(queueDepth),
                "--queues",
                Integer.toString(queueCount),
                "--seed",
                Long.toString(seed),
                "--stall-limit-ms",
                "60000",
                // Away from the slave's core, where there are two.
                "--core",
                "0"));
    if (thinkUs > 0) {
      arguments.addAll(List.of("--think-us", Integer.toString(thinkUs)));
    }
    if (packed) {
      arguments.add("--packed");
    }
    return arguments;
  }
}

package io.virtnvme.slave.bdev;

import io.virtnvme.ipc.memory.Mem;
import io.virtnvme.ipc.sys.Fds;
import java.nio.file.Path;
import java.util.concurrent.TimeUnit;
import java.util.random.RandomGenerator;

/**
 * Random 4 KiB requests to a file through a channel, for comparing with fio on the same file.
 * Arguments: file, {@code read} or {@code write}, queue depth, seconds, and after how many polls
 * without an end it blocks (-1: never). Prints requests per second and the mean time of one in
 * microseconds; the first second is warm-up.
 */
final class BdevBench {
  private static final int REQUEST_BYTES = 4096;
  private static final int WAIT_MS = 100;

  private final BlockChannel channel;
  private final UringReactorIo io = new UringReactorIo();
  private final int operation;
  private final long iovecs;
  private final long blockCount;
  private final int spinCount;
  private final RandomGenerator random = RandomGenerator.of("Xoroshiro128PlusPlus");
  private final ReactorIo.Listener listener = this::onEnd;
  private long endedCount;
  private boolean stopping;

  private BdevBench(
      final UringBdev bdev, final int operation, final int queueDepth, final int spinCount) {
    this.channel = bdev.channel(io);
    this.operation = operation;
    this.spinCount = spinCount;
    this.blockCount = channel.lengthBytes() / REQUEST_BYTES;
    final long memory = Mem.allocate((queueDepth + 1L) * REQUEST_BYTES);
    final long buffers = (memory + REQUEST_BYTES - 1) & -REQUEST_BYTES;
    iovecs = Mem.allocate((long) queueDepth * Iovecs.ENTRY_LENGTH);
    for (int i = 0; i < queueDepth; i++) {
      Iovecs.put(Iovecs.at(iovecs, i), buffers + (long) i * REQUEST_BYTES, REQUEST_BYTES);
    }
  }

  public static void main(final String[] args) {
    final int queueDepth = Integer.parseInt(args[2]);
    final int operation = args[1].equals("write") ? BlockChannel.OP_WRITE : BlockChannel.OP_READ;
    try (UringBdev bdev = UringBdev.open(BdevHarness.file(Path.of(args[0])))) {
      final BdevBench bench = new BdevBench(bdev, operation, queueDepth, Integer.parseInt(args[4]));
      for (int i = 0; i < queueDepth; i++) {
        bench.submit(i);
      }
      bench.runFor(TimeUnit.SECONDS.toNanos(1));
      final double seconds = Double.parseDouble(args[3]);
      final double perSecond = bench.runFor((long) (seconds * 1e9)) / seconds;
      System.out.printf(
          "%s QD%d: %.0f IOPS, mean %.1f us%n",
          args[1], queueDepth, perSecond, queueDepth * 1e6 / perSecond);
      bench.stop();
    }
  }

  private long runFor(final long durationNs) {
    final long before = endedCount;
    final long endNs = System.nanoTime() + durationNs;
    int emptyCount = 0;
    while (System.nanoTime() < endNs) {
      emptyCount = io.poll(listener, 32) > 0 ? 0 : emptyCount + 1;
      if (emptyCount == spinCount) {
        if (!io.armWakeUp()) {
          Fds.awaitReadable(io.fd(), WAIT_MS);
        }
        io.disarmWakeUp();
        emptyCount = 0;
      }
    }
    return endedCount - before;
  }

  private void stop() {
    stopping = true;
    while (io.inFlightCount() > 0) {
      io.poll(listener, 32);
    }
    io.close();
  }

  private void submit(final long buffer) {
    final long offset = random.nextLong(blockCount) * REQUEST_BYTES;
    final long iovec = Iovecs.at(iovecs, (int) buffer);
    final int result = channel.submit(operation, iovec, 1, offset, REQUEST_BYTES, 0, buffer);
    if (result != BlockChannel.PENDING) {
      throw new IllegalStateException("submit: " + result);
    }
  }

  private void onEnd(final long tag, final int result) {
    if (result != 0) {
      throw new IllegalStateException("request failed: " + result);
    }
    endedCount++;
    if (!stopping) {
      submit(tag);
    }
  }
}

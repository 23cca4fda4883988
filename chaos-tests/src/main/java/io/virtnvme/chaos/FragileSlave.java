package io.virtnvme.chaos;

import io.virtnvme.ipc.segment.SeatSegment;
import io.virtnvme.ipc.segment.SegmentDirectory;
import io.virtnvme.ipc.sys.Processes;
import io.virtnvme.slave.SlaveMain;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.locks.LockSupport;

/**
 * A slave that dies when the file {@code DIR/die} says so: {@code start} before it does anything,
 * {@code seat} as soon as it owns seat 0. Without that file it is a slave like any other.
 */
final class FragileSlave {
  private static final int EXIT_CODE = 42;
  private static final long POLL_NS = TimeUnit.MILLISECONDS.toNanos(1);

  private FragileSlave() {}

  /** The arguments of a slave. */
  public static void main(final String[] arguments) throws IOException {
    final Path runDirectory = Path.of(arguments[1]);
    final Path order = runDirectory.resolve("die");
    if (says(order, "start")) {
      System.err.println("dying at once, as ordered");
      Runtime.getRuntime().halt(EXIT_CODE);
    }
    final String instance = Files.readString(runDirectory.resolve("instance")).trim();
    final SegmentDirectory segments = SegmentDirectory.of(Long.parseUnsignedLong(instance, 16));
    final Thread watcher = new Thread(() -> dieWithSeat(order, segments), "fragile");
    watcher.setDaemon(true);
    watcher.start();
    SlaveMain.main(arguments);
  }

  private static void dieWithSeat(final Path order, final SegmentDirectory segments) {
    try (SeatSegment seat = SeatSegment.open(segments, 0)) {
      for (; ; ) {
        if (seat.ownerPid() == Processes.currentPid() && says(order, "seat")) {
          System.err.println("dying with the seat, as ordered");
          Runtime.getRuntime().halt(EXIT_CODE);
        }
        LockSupport.parkNanos(POLL_NS);
      }
    }
  }

  private static boolean says(final Path order, final String word) {
    try {
      return Files.readString(order).equals(word);
    } catch (final IOException e) {
      return false;
    }
  }
}

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
 * {@code seat} as soon as it owns seat 0; or whose reactor stands still while everything else in it
 * goes on: {@code hang}. Without that file it is a slave like any other.
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
    final Thread watcher = new Thread(() -> obey(order, segments), "fragile");
    watcher.setDaemon(true);
    watcher.start();
    SlaveMain.main(arguments);
  }

  private static void obey(final Path order, final SegmentDirectory segments) {
    try (SeatSegment seat = SeatSegment.open(segments, 0)) {
      for (; ; ) {
        if (seat.ownerPid() == Processes.currentPid() && says(order, "seat")) {
          System.err.println("dying with the seat, as ordered");
          Runtime.getRuntime().halt(EXIT_CODE);
        }
        if (seat.ownerPid() == Processes.currentPid() && says(order, "hang")) {
          Files.deleteIfExists(order);
          suspendReactor();
        }
        LockSupport.parkNanos(POLL_NS);
      }
    } catch (final IOException e) {
      System.err.println("no more orders: " + e);
    }
  }

  /** As a deadlock or a lost wake-up in its code would: the JVM works, this thread does not. */
  @SuppressWarnings({"deprecation", "removal", "ThreadSuspend"})
  private static void suspendReactor() {
    for (final Thread thread : Thread.getAllStackTraces().keySet()) {
      if (thread.getName().equals("reactor-0")) {
        System.err.println("suspending " + thread.getName() + ", as ordered");
        thread.suspend();
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

package io.virtnvme.tools.bench;

import io.virtnvme.ipc.memory.Mem;
import io.virtnvme.ipc.sys.Threads;
import java.util.Arrays;

/**
 * How long a word takes from one core to another. On virtual machines that depends on where the
 * hypervisor has put the cores, and changes from run to run. Two threads for some milliseconds.
 */
final class PingPong {
  private static final int BATCHES = 7;
  private static final int ROUND_TRIPS = 5000;
  private static final long LIMIT_NS = 1_000_000_000L;
  private static final int LINE_BYTES = 256;
  private static final int STOP = -1;

  private PingPong() {}

  /**
   * Measures between the calling thread and one on the other core.
   *
   * @return nanoseconds one way, median of some batches; 0 if the other core did not answer in time
   */
  static double oneWayNs(final int otherCore) {
    final long memory = Mem.allocate(3 * LINE_BYTES);
    final long ping = memory + LINE_BYTES;
    final long pong = memory + 2 * LINE_BYTES;
    final Thread other = new Thread(() -> answer(ping, pong, otherCore), "ping-pong");
    other.setDaemon(true);
    other.start();
    final double[] batches = new double[BATCHES];
    final long deadlineNs = System.nanoTime() + LIMIT_NS;
    boolean answered = true;
    int value = 0;
    for (int batch = 0; batch < BATCHES && answered; batch++) {
      final long startNs = System.nanoTime();
      for (int i = 0; i < ROUND_TRIPS && answered; i++) {
        value++;
        answered = roundTrip(ping, pong, value, deadlineNs);
      }
      batches[batch] = (System.nanoTime() - startNs) / 2.0 / ROUND_TRIPS;
    }
    Mem.putIntRelease(ping, STOP);
    try {
      other.join();
    } catch (final InterruptedException e) {
      // The memory stays: the other thread may still read it.
      Thread.currentThread().interrupt();
      return 0;
    }
    Mem.free(memory);
    Arrays.sort(batches);
    return answered ? batches[BATCHES / 2] : 0;
  }

  private static boolean roundTrip(
      final long ping, final long pong, final int value, final long deadlineNs) {
    Mem.putIntRelease(ping, value);
    int turns = 0;
    while (Mem.getIntAcquire(pong) != value) {
      turns++;
      if ((turns & 0xFFFF) == 0 && System.nanoTime() - deadlineNs > 0) {
        return false;
      }
      Thread.onSpinWait();
    }
    return true;
  }

  private static void answer(final long ping, final long pong, final int core) {
    if (core >= 0) {
      Threads.pinTo(core);
    }
    int last = 0;
    while (last != STOP) {
      final int value = Mem.getIntAcquire(ping);
      if (value == last) {
        Thread.onSpinWait();
      } else {
        last = value;
        Mem.putIntRelease(pong, value);
      }
    }
  }
}

package io.virtnvme.slave.reactor;

import io.virtnvme.ipc.sys.Threads;
import java.util.concurrent.locks.LockSupport;

/**
 * What a reactor's thread does again and again, from a takeover on. A class of its own because the
 * {@link WarmUp} runs it, too: a method that is replaced by better compiled code while a real-time
 * thread calls it can hold that thread up for a second. Reactor thread.
 */
final class DutyCycle {
  /**
   * How long a takeover keeps real-time priority. What else wants the core meanwhile (the dead
   * process, our own compiler and control threads) would each take it for a whole tick otherwise.
   */
  private static final long SETTLE_NS = 100_000_000L;

  /** Within that time: a polling real-time thread would starve its core, so it rests in between. */
  private static final long POLL_NS = 450_000;

  private static final long REST_NS = 50_000;

  private final Reactor reactor;
  private boolean settling;
  private long beginNs;
  private long restedNs;

  DutyCycle(final Reactor reactor) {
    this.reactor = reactor;
  }

  /**
   * Before the first cycle.
   *
   * @param realTime the thread has real-time priority, and gives it back when all has settled
   */
  void begin(final long nowNs, final boolean realTime) {
    beginNs = nowNs;
    restedNs = nowNs;
    settling = realTime;
  }

  /** One cycle that neither rests nor sleeps, whatever it finds: the first one. */
  void runAtOnce() {
    work(System.nanoTime());
  }

  /** Runs one cycle; with {@code stop} every ring is asked to stop first. */
  void run(final boolean stop) {
    final long nowNs = System.nanoTime();
    if (settling) {
      settle(nowNs);
    }
    if (stop) {
      // In each cycle: a ring whose start was under way must not keep the seat.
      reactor.stopAll();
    }
    final int workCount = work(nowNs);
    if (workCount >= 0) {
      reactor.idle(workCount, nowNs);
    }
  }

  /** How much was done, or -1 after a memory fault. */
  private int work(final long nowNs) {
    try {
      return reactor.doWork(nowNs);
    } catch (final InternalError e) {
      if (!reactor.recoverFromMemoryFault()) {
        throw e;
      }
      return -1;
    }
  }

  private void settle(final long nowNs) {
    // At real-time priority, polling keeps the core from the dying owner that a fence waits for,
    // and from the kernel's own workers, which finish direct writes.
    if (nowNs - beginNs > SETTLE_NS || reactor.rings().anyNeedsKernel()) {
      Threads.dropToNormal();
      settling = false;
    } else if (nowNs - restedNs > POLL_NS) {
      LockSupport.parkNanos(REST_NS);
      restedNs = System.nanoTime();
    }
  }
}

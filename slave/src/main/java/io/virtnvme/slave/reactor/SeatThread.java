package io.virtnvme.slave.reactor;

import io.virtnvme.ipc.segment.SeatSegment;
import io.virtnvme.ipc.sys.RobustMutex;
import io.virtnvme.ipc.sys.Threads;
import java.util.concurrent.locks.LockSupport;

/**
 * A reactor's thread: waits for the reactor's robust mutex, starts the rings that were prepared for
 * it, and runs the main loop while it holds the mutex. The mutex in our hands is the kernel's word
 * that the thread which held it before stores nothing any more.
 */
final class SeatThread extends Thread {
  private static final long WAIT_NS = 1_000_000_000L;
  private static final int FIFO_PRIORITY = 50;

  /**
   * How long a takeover keeps real-time priority. What else wants the core meanwhile (the dead
   * process, our own compiler and control threads) would each take it for a whole tick otherwise.
   */
  private static final long SETTLE_NS = 100_000_000L;

  /** Within that time: a polling real-time thread would starve its core, so it rests in between. */
  private static final long POLL_NS = 450_000;

  private static final long REST_NS = 50_000;

  /** A reactor polls a core of its own; what else of this process runs there may wait. */
  private static final int REACTOR_NICE = -10;

  private final int index;
  private final int core;
  private final boolean warm;
  private final RobustMutex mutex;
  private final Reactor reactor;
  private final SeatTakeover takeover;
  private final ReactorEvents events;
  private final PreparedRings prepared;
  private volatile boolean owning;
  private volatile boolean stopRequested;
  private boolean settling;
  private boolean measuring = true;
  private long acquiredNs;
  private long restedNs;
  private boolean stopping;

  SeatThread(
      final int index,
      final int core,
      final boolean warm,
      final SeatSegment segment,
      final Reactor reactor,
      final PreparedRings prepared,
      final SeatTakeover takeover,
      final ReactorEvents events) {
    super("reactor-" + index);
    setDaemon(true);
    this.index = index;
    this.core = core;
    this.warm = warm;
    this.mutex = segment.mutex(index);
    this.reactor = reactor;
    this.prepared = prepared;
    this.takeover = takeover;
    this.events = events;
  }

  Reactor reactor() {
    return reactor;
  }

  boolean owns() {
    return owning;
  }

  void requestStop() {
    stopRequested = true;
    reactor.execute(() -> {});
  }

  @Override
  public void run() {
    try {
      if (core >= 0) {
        Threads.pinTo(core);
        Threads.nice(REACTOR_NICE);
      }
      settling = warm && Threads.raiseToFifo(FIFO_PRIORITY);
      final RobustMutex.Outcome outcome = awaitMutex();
      if (outcome == RobustMutex.Outcome.BUSY || stopRequested) {
        // Asked to leave: the seat is for somebody else, who takes every ring from its journal,
        // however the owner ended.
        if (outcome != RobustMutex.Outcome.BUSY) {
          mutex.unlock();
        }
        takeover.onReleased(index);
        return;
      }
      acquiredNs = System.nanoTime();
      restedNs = acquiredNs;
      owning = true;
      takeover.onMutex(index, outcome == RobustMutex.Outcome.OWNER_DIED, acquiredNs);
      prepared.start();
      takeover.onRingsStarted(index);
      while (!(stopping && reactor.rings().started().length == 0)) {
        cycle();
      }
      mutex.unlock();
      owning = false;
      takeover.onReleased(index);
    } catch (final Throwable t) {
      // The mutex stays ours until the process is gone: nobody else touches the rings before that.
      events.onFatal(t);
    }
  }

  private RobustMutex.Outcome awaitMutex() {
    RobustMutex.Outcome outcome = RobustMutex.Outcome.BUSY;
    // Reactor 0 decides who gets the seat; the others follow it.
    while (!stopRequested && !takeover.mayLock(index, WAIT_NS)) {
      // Woken to look at stopRequested.
    }
    while (!stopRequested && outcome == RobustMutex.Outcome.BUSY) {
      outcome = mutex.lock(WAIT_NS);
    }
    return outcome;
  }

  private void cycle() {
    final long nowNs = System.nanoTime();
    if (settling) {
      settle(nowNs);
    }
    if (stopRequested) {
      // In each cycle: a ring whose start was under way must not keep the seat.
      stopping = true;
      reactor.stopAll();
    }
    step(nowNs);
    if (measuring) {
      measuring = !takeover.measured(index, nowNs);
    }
  }

  private void settle(final long nowNs) {
    // At real-time priority, polling keeps the core from the dying owner that a fence waits for,
    // and from the kernel's own workers, which finish direct writes.
    if (nowNs - acquiredNs > SETTLE_NS || reactor.rings().anyNeedsKernel()) {
      Threads.dropToNormal();
      settling = false;
    } else if (nowNs - restedNs > POLL_NS) {
      LockSupport.parkNanos(REST_NS);
      restedNs = System.nanoTime();
    }
  }

  private void step(final long nowNs) {
    try {
      reactor.idle(reactor.doWork(nowNs), nowNs);
    } catch (final InternalError e) {
      if (!reactor.recoverFromMemoryFault()) {
        throw e;
      }
    }
  }
}

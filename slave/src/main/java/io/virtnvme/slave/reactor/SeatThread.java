package io.virtnvme.slave.reactor;

import io.virtnvme.ipc.segment.SeatSegment;
import io.virtnvme.ipc.sys.RobustMutex;
import io.virtnvme.ipc.sys.Threads;

/**
 * A reactor's thread: waits for the reactor's robust mutex, starts the rings that were prepared for
 * it, and runs the main loop while it holds the mutex. The mutex in our hands is the kernel's word
 * that the thread which held it before stores nothing any more.
 */
final class SeatThread extends Thread {
  private static final long WAIT_NS = 1_000_000_000L;
  private static final int FIFO_PRIORITY = 50;

  /** A reactor polls a core of its own; what else of this process runs there may wait. */
  private static final int REACTOR_NICE = -10;

  private final int index;
  private final int core;
  private final boolean warm;
  private final RobustMutex mutex;
  private final Reactor reactor;
  private final DutyCycle dutyCycle;
  private final SeatTakeover takeover;
  private final ReactorEvents events;
  private final PreparedRings prepared;
  private volatile boolean owning;
  private volatile boolean stopRequested;

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
    this.dutyCycle = new DutyCycle(reactor);
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
      final boolean realTime = warm && Threads.raiseToFifo(FIFO_PRIORITY);
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
      final long acquiredNs = System.nanoTime();
      dutyCycle.begin(acquiredNs, realTime);
      owning = true;
      takeover.onMutex(index, outcome == RobustMutex.Outcome.OWNER_DIED, acquiredNs);
      prepared.start();
      takeover.onRingsStarted(index);
      // Guests first: the control thread and the master can wait until this cycle is over.
      dutyCycle.runAtOnce();
      takeover.announce(index);
      serve();
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

  private void serve() {
    boolean measuring = true;
    boolean stopping = false;
    while (!(stopping && reactor.rings().started().length == 0)) {
      stopping = stopRequested;
      dutyCycle.run(stopping);
      if (measuring) {
        measuring = !takeover.measured(index);
      }
    }
  }
}

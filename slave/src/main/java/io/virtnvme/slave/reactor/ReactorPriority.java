package io.virtnvme.slave.reactor;

import io.virtnvme.ipc.memory.Mem;
import io.virtnvme.ipc.sys.Threads;
import java.util.concurrent.locks.LockSupport;

/**
 * When a pinned reactor has real-time priority: while it waits for its seat, and then as long as it
 * sleeps often enough for whatever else runs on its core.
 *
 * <p>Real-time, it is on its core at once when a guest kicks, and when it is killed it is gone at
 * once, so that its successor starts. Polling without a sleep it would starve its core, and the
 * kernel takes real-time priority away from those who do, for 50 ms of each second. So one that is
 * busy all the time has normal priority, a new owner takes short pauses until what comes with a
 * takeover is over, and one whose devices need the kernel's workers leaves them its core.
 *
 * <p>Everything but {@link #demote} belongs to the reactor's thread.
 */
final class ReactorPriority {
  private static final int FIFO_PRIORITY = 50;

  /** What comes with a takeover: a dead process, compilers, the next standby's start. */
  private static final long SETTLE_NS = 1_000_000_000L;

  /** A third of the core is for others then: control threads have much to do after a takeover. */
  private static final long RUN_NS_MAX = 500_000L;

  private static final long PAUSE_NS = 250_000L;
  private static final long WINDOW_NS = 10_000_000L;

  /** Of a window, the share to sleep at least: 1/10 to stay real-time, 1/5 to become it. */
  private static final int STAY_SHARE = 10;

  private static final int RAISE_SHARE = 5;

  /** What it asks of the kernel. */
  interface Scheduler {
    /** The calling thread, for {@link #drop}. */
    int threadId();

    /** Makes the calling thread real-time; false when that is not permitted. */
    boolean raise(int fifoPriority);

    void drop(int threadId);

    void pause(long ns);
  }

  private static final Scheduler KERNEL =
      new Scheduler() {
        @Override
        public int threadId() {
          return Threads.currentId();
        }

        @Override
        public boolean raise(final int fifoPriority) {
          return Threads.raiseToFifo(fifoPriority);
        }

        @Override
        public void drop(final int threadId) {
          Threads.dropToNormal(threadId);
        }

        @Override
        public void pause(final long ns) {
          LockSupport.parkNanos(ns);
        }
      };

  private final Scheduler scheduler;
  private final long timespec = Mem.allocate(2 * Long.BYTES);
  private volatile boolean raised;
  private volatile int threadId;
  private boolean refused;
  private boolean entitled;
  private long settledNs;
  private long lastSleptNs;
  private long runBeginNs;
  private long windowBeginNs;
  private long windowSleptNs;

  ReactorPriority() {
    this(KERNEL);
  }

  ReactorPriority(final Scheduler scheduler) {
    this.scheduler = scheduler;
  }

  /**
   * Asks for real-time priority, and makes this thread one that may have it from now on. Without
   * the permission nothing ever changes.
   */
  void raise() {
    threadId = scheduler.threadId();
    entitled = true;
    raised = !refused && scheduler.raise(FIFO_PRIORITY);
    refused = !raised;
  }

  boolean isRaised() {
    return raised;
  }

  /** Processor time of the reactor's thread; the guard's thread, after {@link #raise}. */
  long cpuNs() {
    return Threads.cpuNs(threadId, timespec);
  }

  /** Nobody calls {@link #cpuNs} any more. */
  void free() {
    Mem.free(timespec);
  }

  /**
   * Takes real-time priority away from a reactor that does not come round; it gets it back by its
   * own {@link #onCycle}. Any thread.
   */
  void demote() {
    if (raised) {
      // In this order: should the reactor raise itself in between, it is normal and thinks it is
      // not, which harms nobody; the other way round it would never drop it.
      raised = false;
      scheduler.drop(threadId);
    }
  }

  void onTakeover(final long nowNs) {
    settledNs = nowNs + SETTLE_NS;
    runBeginNs = nowNs;
    windowBeginNs = nowNs;
  }

  /**
   * In each duty cycle.
   *
   * @param sleptNs how long the reactor has slept so far
   * @param needsKernel whether a device is finished by the kernel's workers, perhaps on this core
   */
  void onCycle(final long nowNs, final long sleptNs, final boolean needsKernel) {
    if (refused || !entitled) {
      return;
    }
    if (needsKernel) {
      demote();
    } else if (nowNs - settledNs < 0) {
      pauseIfDue(nowNs, sleptNs);
    } else if (nowNs - windowBeginNs >= WINDOW_NS) {
      judge(nowNs - windowBeginNs, sleptNs - windowSleptNs);
      windowBeginNs = nowNs;
      windowSleptNs = sleptNs;
    }
  }

  private void pauseIfDue(final long nowNs, final long sleptNs) {
    if (sleptNs != lastSleptNs) {
      lastSleptNs = sleptNs;
      runBeginNs = nowNs;
    } else if (nowNs - runBeginNs >= RUN_NS_MAX) {
      scheduler.pause(PAUSE_NS);
      runBeginNs = nowNs + PAUSE_NS;
      if (!raised) {
        raise();
      }
    }
  }

  private void judge(final long windowNs, final long sleptNs) {
    if (raised && sleptNs * STAY_SHARE < windowNs) {
      demote();
    } else if (!raised && sleptNs * RAISE_SHARE > windowNs) {
      raise();
    }
  }
}

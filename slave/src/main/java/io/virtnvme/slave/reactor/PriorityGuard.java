package io.virtnvme.slave.reactor;

import io.virtnvme.ipc.sys.Threads;
import java.util.concurrent.locks.LockSupport;
import java.util.function.LongSupplier;

/**
 * Takes real-time priority away from a reactor that runs and does not come round. Code of the JVM
 * may spin until a compiler thread has done something (a call into a method whose code is being
 * replaced is resolved again and again); if that thread waits for the same core, a real-time
 * reactor would spin for 950 ms, until the kernel steps in. A thread on the reactor's core, before
 * it in line, that sleeps nearly always.
 */
final class PriorityGuard extends Thread {
  private static final int FIFO_PRIORITY = 51;
  private static final long INTERVAL_NS = 1_000_000L;

  /** How often a reactor is looked at that sleeps, or is not real-time. */
  private static final long QUIET_INTERVAL_NS = 10_000_000L;

  /** More than that without a duty cycle is no cycle that merely takes long. */
  private static final long STUCK_CPU_NS = INTERVAL_NS / 2;

  private final int core;
  private final LongSupplier dutyCycles;
  private final LongSupplier cpuNs;
  private final ReactorPriority priority;
  private volatile boolean guarding;
  private volatile boolean ended;
  private long lastCycles = -1;
  private long lastCpuNs;

  /** Made beforehand; {@link #start} it, and it waits for {@link #guard}. */
  PriorityGuard(
      final int index,
      final int core,
      final LongSupplier dutyCycles,
      final LongSupplier cpuNs,
      final ReactorPriority priority) {
    super("guard-" + index);
    setDaemon(true);
    this.core = core;
    this.dutyCycles = dutyCycles;
    this.cpuNs = cpuNs;
    this.priority = priority;
  }

  /** The reactor has its seat. */
  void guard() {
    guarding = true;
    LockSupport.unpark(this);
  }

  /** Returns when no look follows: what it looks at may go then. */
  void end() throws InterruptedException {
    ended = true;
    LockSupport.unpark(this);
    join();
  }

  @Override
  public void run() {
    Threads.pinTo(core);
    if (!Threads.raiseToFifo(FIFO_PRIORITY)) {
      return;
    }
    while (!guarding && !ended) {
      LockSupport.park(this);
    }
    while (!ended) {
      LockSupport.parkNanos(look() ? INTERVAL_NS : QUIET_INTERVAL_NS);
    }
  }

  /** Looks once; true when it should do so again soon. */
  boolean look() {
    if (!priority.isRaised()) {
      lastCycles = -1;
      return false;
    }
    final long cycles = dutyCycles.getAsLong();
    final long cpu = cpuNs.getAsLong();
    final boolean ran = cpu - lastCpuNs > STUCK_CPU_NS;
    if (cycles == lastCycles && ran) {
      priority.demote();
    }
    lastCycles = cycles;
    lastCpuNs = cpu;
    return ran;
  }
}

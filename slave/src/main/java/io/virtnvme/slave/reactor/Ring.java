package io.virtnvme.slave.reactor;

import io.virtnvme.slave.ring.RingAgent;
import io.virtnvme.slave.ring.RingSetup;
import java.util.function.IntConsumer;

/**
 * One ring on a reactor, with where it is in its life. Belongs to the reactor's thread once it is
 * handed over.
 */
final class Ring {
  /** Life of a ring on a reactor. */
  enum State {
    /**
     * The dead owner's requests may still run in the kernel; nothing is touched before the device's
     * lock is ours.
     */
    FENCED,
    RUNNING,
    /** Fetches no more; ends when nothing is in flight. */
    STOPPING,
    /**
     * Its memory or its guest cannot be trusted: never touched again, waits only for the kernel to
     * let go of it.
     */
    ABANDONED
  }

  final RingSetup setup;
  final RingAgent agent;
  final int slot;
  State state = State.FENCED;

  /** Whether a kick of it ends the reactor's sleep. */
  boolean kickWatched;

  /** Called on the control thread when the ring has stopped, with its base or -1. */
  IntConsumer whenStopped;

  /** What the queue's counters said when the ring was started here. */
  long completedBeforeCount;

  /** Requests of an abandoned ring that still run. */
  int abandonedInFlightCount;

  /** Time of the duty cycle that last moved a request of it. */
  long lastWorkNs;

  Ring(final RingSetup setup, final RingAgent agent, final int slot) {
    this.setup = setup;
    this.agent = agent;
    this.slot = slot;
  }

  boolean usesPreviousMemory() {
    return state == State.ABANDONED ? abandonedInFlightCount > 0 : agent.usesPreviousMemory();
  }

  /** Whether requests that were fetched run, or run again when the fence lets them. */
  boolean runs() {
    return switch (state) {
      case FENCED -> true;
      case RUNNING, STOPPING -> agent.inFlightCount() > 0;
      case ABANDONED -> abandonedInFlightCount > 0;
    };
  }

  /** Whether nothing is lost when it is not looked at for some time. */
  boolean mayIdle() {
    return state == State.ABANDONED
        || (state == State.RUNNING
            && agent.inFlightCount() == 0
            && agent.pollDueNs() == Long.MAX_VALUE);
  }

  boolean is(final long sessionId, final int queueIndex) {
    return setup.sessionId() == sessionId && setup.queueIndex() == queueIndex;
  }
}

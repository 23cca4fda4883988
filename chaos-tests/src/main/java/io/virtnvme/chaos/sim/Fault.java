package io.virtnvme.chaos.sim;

/**
 * Something bad that happens in a run.
 *
 * @param step when: the number of the step before which it happens
 * @param kind what
 * @param amount how much of it; {@link Kind} says of what
 */
record Fault(int step, Kind kind, int amount) {
  /** Kinds of faults. */
  enum Kind {
    /** The owner of the seat dies before its store number {@code amount} from now. */
    KILL_AT_STORE,
    /** The owner of the seat dies between two calls. */
    KILL,
    /** Whoever takes the seat next dies before its store number {@code amount}. */
    KILL_IN_TAKEOVER,
    /** The slave that waits for the seat dies. */
    KILL_STANDBY,
    /** The owner does nothing for {@code amount} steps; the master kills it if that is too long. */
    HANG,
    /** The owner ends in good order. */
    LEAVE,
    /** The master dies; another one comes after {@code amount} steps. */
    KILL_MASTER,
    /** Master and slaves die; others come after {@code amount} steps. */
    KILL_ALL,
    /** The disk ends no request for {@code amount} steps. */
    SLOW_DISK,
    /** The disk takes only one request at a time, for {@code amount} steps. */
    SMALL_DISK,
    /** The front-end hangs up and connects again. */
    RECONNECT,
    /** The front-end stops the rings and lets them go on. */
    PAUSE,
    /** The same, with a new inflight region. */
    NEW_REGION,
    /** The guest resets its device: new rings, requests that were not fetched are gone. */
    RESET,
    /** The front-end takes memory away, or gives it back. */
    PLUG,
    /** NVMe: the guest deletes a queue, with commands in flight, and makes it anew. */
    DELETE_QUEUE,
    /** NVMe: the front-end takes the memory of all queues away for a moment. */
    MOVE_QUEUES,
    /** A standby does nothing for {@code amount} steps, and wakes up as if nothing had been. */
    HANG_STANDBY;

    /** Whether a guest survives it only if its front-end keeps the inflight region. */
    boolean needsFrontEndsRegion() {
      return this == KILL_MASTER || this == KILL_ALL || this == RECONNECT;
    }
  }
}

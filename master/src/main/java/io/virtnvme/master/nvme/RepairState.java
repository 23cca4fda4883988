package io.virtnvme.master.nvme;

import java.util.Locale;

/**
 * Where the repair of a device is; {@link RepairTable} has the steps. Every state but the first and
 * the last two ends by itself, at its limit in {@link RepairOptions} if nothing else ends it.
 */
public enum RepairState {
  /** Nothing to repair: it is looked at from time to time. */
  WATCHING,
  /** Commands without end were aborted; waits until they have one. */
  ABORTING,
  /** Registers read as all ones; gates are shut; waits until the registers answer again. */
  LINK_DOWN,
  /**
   * Gates are shut; waits until no slave touches the queues: each has seen its own gate, has polled
   * since, or is dead.
   */
  SHUTTING,
  /** The controller is being reset, in the device's thread. */
  RESETTING,
  /** A reset failed; waits before the next one. */
  PAUSING,
  /** Resets do not help. Gates stay shut until the operator asks for a reset, or detaches it. */
  FAILED,
  /** It was taken out. Gates stay shut until it is detached, or back and reset by the operator. */
  GONE;

  /** How long it lasts at most; 0 for one that does not end by itself. */
  long limitNs(final RepairOptions options) {
    return switch (this) {
      case WATCHING, FAILED, GONE -> 0;
      case ABORTING -> options.abortWaitNs();
      case LINK_DOWN -> options.linkWaitNs();
      case SHUTTING -> options.gateWaitNs();
      case RESETTING -> options.resetWaitNs();
      case PAUSING -> options.pauseNs();
    };
  }

  /** Whether slaves must keep off the queues. */
  boolean isShut() {
    return this != WATCHING && this != ABORTING;
  }

  /** As RPC clients see it. */
  public String label() {
    return name().toLowerCase(Locale.ROOT);
  }
}

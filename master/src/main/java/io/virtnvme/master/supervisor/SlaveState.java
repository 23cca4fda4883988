package io.virtnvme.master.supervisor;

import java.util.EnumSet;
import java.util.Set;

/** The life of a slave process. */
enum SlaveState {
  /** Started or connected, and neither warm nor owner of a seat. */
  STARTING,
  /** Warm, waits on the seats' mutexes. */
  STANDBY,
  /** Owns at least one seat. */
  ACTIVE,
  /** Told to end, or killed; what it says no longer counts, only its death is awaited. */
  STOPPING,
  /** Its process could not be started. */
  FAILED,
  /** Dead. */
  GONE;

  private Set<SlaveState> next() {
    return switch (this) {
      case STARTING -> EnumSet.of(STANDBY, ACTIVE, STOPPING, FAILED, GONE);
      case STANDBY -> EnumSet.of(ACTIVE, STOPPING, GONE);
      case ACTIVE -> EnumSet.of(STOPPING, GONE);
      case STOPPING -> EnumSet.of(GONE);
      case FAILED, GONE -> EnumSet.noneOf(SlaveState.class);
    };
  }

  boolean mayBecome(final SlaveState other) {
    return next().contains(other);
  }

  /** Whether its messages count. */
  boolean isLive() {
    return this == STARTING || this == STANDBY || this == ACTIVE;
  }
}

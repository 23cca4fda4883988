package io.virtnvme.master.supervisor;

import java.util.EnumSet;
import java.util.Set;

/** Where an upgrade stands. */
enum UpgradeState {
  /** None is under way. */
  IDLE,
  /** Standbys of the other build start and check themselves; nothing has changed for guests. */
  CHECKING,
  /** Whoever else waits for a seat is told not to, so that only the other build can take one. */
  CLEARING,
  /** A slave that owns seats has been told to let go of them. */
  MOVING;

  private Set<UpgradeState> next() {
    return switch (this) {
      case IDLE -> EnumSet.of(CHECKING);
      // To CHECKING again when it is rolled back.
      case CHECKING -> EnumSet.of(CHECKING, CLEARING, IDLE);
      case CLEARING -> EnumSet.of(CHECKING, MOVING, IDLE);
      case MOVING -> EnumSet.of(CHECKING, IDLE);
    };
  }

  boolean mayBecome(final UpgradeState other) {
    return next().contains(other);
  }
}

package io.virtnvme.master.supervisor;

import java.util.EnumSet;
import java.util.Set;

/** The life of a seat. */
enum SeatState {
  /** Its owner of before the master's restart lives and has not connected yet. */
  AWAITED,
  /** Nobody is on the way; a start is due now or after a pause. */
  VACANT,
  /** A slave was started for it or told to take it. */
  STARTING,
  /** The owner is dead and a standby, which waits on the mutex, takes it by itself. */
  SUCCEEDING,
  /** A slave owns it. */
  OWNED,
  /** Given up after too many failures; an operator starts it again. */
  FAILED;

  private Set<SeatState> next() {
    return switch (this) {
      // A slave that holds the mutex owns the seat, whatever was believed before.
      case AWAITED -> EnumSet.of(VACANT, OWNED);
      case VACANT -> EnumSet.of(STARTING, SUCCEEDING, OWNED, FAILED);
      case STARTING -> EnumSet.of(VACANT, SUCCEEDING, OWNED, FAILED);
      case SUCCEEDING -> EnumSet.of(VACANT, OWNED, FAILED);
      case OWNED -> EnumSet.of(VACANT, SUCCEEDING, FAILED);
      case FAILED -> EnumSet.of(VACANT, OWNED);
    };
  }

  boolean mayBecome(final SeatState other) {
    return next().contains(other);
  }
}

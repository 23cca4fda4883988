package io.virtnvme.master.relay;

import java.util.EnumSet;
import java.util.Set;

/** The life of a front-end's connection in the master. */
public enum SessionState {
  /**
   * Connected; slaves do not know it yet, because an older one of its controller is closing, or has
   * the controller for itself.
   */
  HELD,
  /** Handed back by a slave; its messages wait until the seat's owner has told everything. */
  ADOPTING,
  /** Slaves know it; no message is under way. */
  IDLE,
  /** A message was peeked and waits for a slave's answer. */
  OUTSTANDING,
  /** It was answered; the front-end hears of it once everybody has the new record. */
  ANSWERED,
  /** The front-end is gone or was shut out; the slave has yet to stop its rings. */
  CLOSING,
  /** Over; everything is released. */
  CLOSED;

  /** Whether slaves that may serve it must have its record. */
  public boolean isOpen() {
    return this == IDLE || this == OUTSTANDING || this == ANSWERED;
  }

  private Set<SessionState> next() {
    return switch (this) {
      case HELD -> EnumSet.of(IDLE, CLOSED);
      case ADOPTING -> EnumSet.of(IDLE, CLOSING);
      case IDLE -> EnumSet.of(OUTSTANDING, CLOSING);
      case OUTSTANDING -> EnumSet.of(ANSWERED, CLOSING);
      case ANSWERED -> EnumSet.of(IDLE, CLOSING);
      case CLOSING -> EnumSet.of(CLOSED);
      case CLOSED -> EnumSet.noneOf(SessionState.class);
    };
  }

  boolean mayBecome(final SessionState other) {
    return next().contains(other);
  }
}

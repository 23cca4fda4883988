package io.virtnvme.master.nvme;

import java.util.Locale;

/**
 * Where a controller is in its life. Every state but the last three ends by itself: with the next
 * one, or with {@link #FAILED} when its time is up.
 */
public enum ControllerState {
  /** CC.EN is 0, or is about to be; waits for CSTS.RDY = 0 for the time of CAP.TO. */
  DISABLING,
  /** CC.EN is 1; waits for CSTS.RDY = 1 for the time of CAP.TO, or of CRTO where there is one. */
  ENABLING,
  /** Controller and namespaces are asked what they are; each command has the admin time limit. */
  IDENTIFYING,
  /** Told to write its cache and stop; waits for CSTS.SHST for the time that it asked for. */
  SHUTTING_DOWN,
  /** Takes commands. */
  READY,
  /**
   * Runs as a master before this one has left it: its I/O queues are in use, it takes no commands.
   */
  ADOPTED,
  /** Broken; the reason says how. A reset, or detaching and attaching it, may help. */
  FAILED,
  /** Has let go of everything. */
  DETACHED;

  boolean mayBecome(final ControllerState next) {
    return switch (this) {
      case DISABLING -> next == ENABLING || next == ADOPTED || next == FAILED || next == DETACHED;
      case ENABLING -> next == IDENTIFYING || next == FAILED;
      case IDENTIFYING -> next == READY || next == FAILED;
      case SHUTTING_DOWN -> next == DISABLING || next == FAILED;
      case READY, ADOPTED -> next == DISABLING || next == SHUTTING_DOWN || next == FAILED;
      case FAILED -> next == DISABLING || next == DETACHED || next == FAILED;
      case DETACHED -> false;
    };
  }

  /** As RPC clients see it. */
  public String label() {
    return name().toLowerCase(Locale.ROOT);
  }
}

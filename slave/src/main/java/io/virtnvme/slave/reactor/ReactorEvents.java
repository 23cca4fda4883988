package io.virtnvme.slave.reactor;

/**
 * What reactors tell the control thread. A {@link Seat} calls all but {@link #execute} and {@link
 * #onFatal} there, through {@link #execute}; these two are for any thread.
 */
public interface ReactorEvents {
  /** This process owns the seat now; rings of prepared sessions run or wait for a fence. */
  void onSeatOwned(int seatId);

  /**
   * The takeover's figures are complete: the first request was completed, or a second has passed
   * without one.
   */
  void onTakeoverMeasured(int seatId);

  /** A session's guest or front-end broke the rules; its rings on this reactor stand still. */
  void onSessionFailed(long sessionId, String reason);

  /** The reactor let go of its seat in good order. */
  void onSeatReleased(int seatId);

  /** Runs something on the control thread, later. */
  void execute(Runnable task);

  /** An invariant of our own is broken: the process must end, so that a successor takes over. */
  void onFatal(Throwable error);
}

package io.virtnvme.slave.reactor;

/**
 * Brings what reactor threads tell to the control thread. One class for real seats and for the
 * rehearsal of a takeover, so that nothing here is linked or interpreted for the first time while a
 * guest waits.
 */
final class PostedEvents implements ReactorEvents {
  private final ReactorEvents control;

  PostedEvents(final ReactorEvents control) {
    this.control = control;
  }

  @Override
  public void onSeatOwned(final int seatId) {
    control.execute(() -> control.onSeatOwned(seatId));
  }

  @Override
  public void onTakeoverMeasured(final int seatId) {
    control.execute(() -> control.onTakeoverMeasured(seatId));
  }

  @Override
  public void onSessionFailed(final long sessionId, final String reason) {
    control.execute(() -> control.onSessionFailed(sessionId, reason));
  }

  @Override
  public void onSeatReleased(final int seatId) {
    control.execute(() -> control.onSeatReleased(seatId));
  }

  @Override
  public void execute(final Runnable task) {
    control.execute(task);
  }

  @Override
  public void onFatal(final Throwable error) {
    control.onFatal(error);
  }
}

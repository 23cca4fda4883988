package io.virtnvme.slave.reactor;

/** For tests in which nothing goes wrong; tasks run at once. */
final class SoundEvents implements ReactorEvents {
  @Override
  public void onSeatOwned(final int seatId) {}

  @Override
  public void onTakeoverMeasured(final int seatId) {}

  @Override
  public void onSessionFailed(final long sessionId, final String reason) {
    throw new AssertionError(reason);
  }

  @Override
  public void onSeatReleased(final int seatId) {}

  @Override
  public void execute(final Runnable task) {
    task.run();
  }

  @Override
  public void onFatal(final Throwable error) {
    throw new AssertionError(error);
  }
}

package io.virtnvme.chaos.sim;

import io.virtnvme.slave.reactor.SteppedSeat;
import io.virtnvme.slave.session.RingHost;
import io.virtnvme.slave.virtqueue.DirtyLog;
import io.virtnvme.slave.virtqueue.GuestMemory;
import io.virtnvme.slave.virtqueue.QueueSetup;

/**
 * A session's way to its rings: while the seat is not the slave's there are none, and everything is
 * done at once.
 */
final class OwnedRings implements RingHost {
  private final SteppedSeat seat;

  OwnedRings(final SteppedSeat seat) {
    this.seat = seat;
  }

  @Override
  public void start(final QueueSetup setup) {
    if (seat.isOwned()) {
      seat.start(setup);
    }
  }

  @Override
  public void stop(final long sessionId, final int queueIndex, final Stopped whenStopped) {
    if (seat.isOwned()) {
      seat.stop(sessionId, queueIndex, whenStopped);
    } else {
      whenStopped.onStopped(-1);
    }
  }

  @Override
  public void update(
      final long sessionId,
      final GuestMemory memory,
      final DirtyLog log,
      final long features,
      final Runnable whenDone) {
    if (seat.isOwned()) {
      seat.update(sessionId, memory, log, features, whenDone);
    } else {
      whenDone.run();
    }
  }

  @Override
  public void updateCall(
      final long sessionId, final int queueIndex, final int callFd, final Runnable whenDone) {
    if (seat.isOwned()) {
      seat.updateCall(sessionId, queueIndex, callFd, whenDone);
    } else {
      whenDone.run();
    }
  }

  @Override
  public void writeback(final long sessionId, final boolean on, final Runnable whenDone) {
    if (seat.isOwned()) {
      seat.writeback(sessionId, on, whenDone);
    } else {
      whenDone.run();
    }
  }
}

package io.virtnvme.slave.control;

import io.virtnvme.slave.reactor.Seat;
import io.virtnvme.slave.session.RingHost;
import io.virtnvme.slave.virtqueue.DirtyLog;
import io.virtnvme.slave.virtqueue.GuestMemory;
import io.virtnvme.slave.virtqueue.QueueSetup;
import java.util.Map;

/**
 * A session's way to the rings of its seat. While the seat is not ours there are no rings of ours:
 * starting does nothing, and everything else is done at once. Control thread only.
 */
final class SeatRings implements RingHost {
  private final Map<Integer, Seat> seats;
  private final int seatId;

  SeatRings(final Map<Integer, Seat> seats, final int seatId) {
    this.seats = seats;
    this.seatId = seatId;
  }

  private Seat owned() {
    final Seat seat = seats.get(seatId);
    return seat != null && seat.isOwned() ? seat : null;
  }

  @Override
  public void start(final QueueSetup setup) {
    final Seat seat = owned();
    if (seat != null) {
      seat.start(setup);
    }
  }

  @Override
  public void stop(final long sessionId, final int queueIndex, final Stopped whenStopped) {
    final Seat seat = owned();
    if (seat == null) {
      whenStopped.onStopped(-1);
    } else {
      seat.stop(sessionId, queueIndex, whenStopped);
    }
  }

  @Override
  public void update(
      final long sessionId,
      final GuestMemory memory,
      final DirtyLog log,
      final long features,
      final Runnable whenDone) {
    final Seat seat = owned();
    if (seat == null) {
      whenDone.run();
    } else {
      seat.update(sessionId, memory, log, features, whenDone);
    }
  }

  @Override
  public void writeback(final long sessionId, final boolean on, final Runnable whenDone) {
    final Seat seat = owned();
    if (seat == null) {
      whenDone.run();
    } else {
      seat.writeback(sessionId, on, whenDone);
    }
  }

  @Override
  public void updateCall(
      final long sessionId, final int queueIndex, final int callFd, final Runnable whenDone) {
    final Seat seat = owned();
    if (seat == null) {
      whenDone.run();
    } else {
      seat.updateCall(sessionId, queueIndex, callFd, whenDone);
    }
  }
}

package io.virtnvme.slave.reactor;

import io.virtnvme.slave.bdev.ReactorIo;
import io.virtnvme.slave.nvme.QueueEvents;
import io.virtnvme.slave.nvme.SessionParts;
import io.virtnvme.slave.nvme.SessionQueues;
import io.virtnvme.slave.session.RingHost;
import java.util.function.Supplier;

/**
 * The reactors of a {@link Seat} without its threads and mutexes: whoever steps it says when a
 * reactor has its seat and when it works. For simulations in one thread, on their own clock; never
 * sleeps.
 */
public final class SteppedSeat implements SeatQueues, AutoCloseable {
  private final Reactor[] reactors;
  private final boolean[] owned;
  private final ReactorRings rings;
  private final ReactorEvents events;

  /**
   * Makes reactors that own nothing yet.
   *
   * @param seatBlocks address of each reactor's block of a seat segment
   * @param ioFactory makes the kernel I/O of one reactor
   */
  public SteppedSeat(
      final long[] seatBlocks, final Supplier<ReactorIo> ioFactory, final ReactorEvents events) {
    this.reactors = new Reactor[seatBlocks.length];
    this.owned = new boolean[seatBlocks.length];
    for (int i = 0; i < reactors.length; i++) {
      final ReactorIo io = ioFactory.get();
      io.reactorIndex(i);
      reactors[i] = new Reactor(seatBlocks[i], Long.MAX_VALUE, io, events);
    }
    this.rings = new ReactorRings(reactors, events);
    this.events = events;
  }

  /** As {@link Seat#prepare}. */
  public boolean prepare(final PreparedSession session) {
    return rings.prepare(session);
  }

  /** As {@link Seat#forget}. */
  public void forget(final long sessionId) {
    rings.forget(sessionId);
  }

  /** As {@link Seat#rings}. */
  public RingHost rings() {
    return isOwned() ? rings : RingHost.NONE;
  }

  @Override
  public SessionQueues queues(final SessionParts parts, final QueueEvents queueEvents) {
    return new ReactorQueues(reactors, events, this::isOwned, parts, queueEvents);
  }

  /** A reactor got its mutex: it starts what was prepared for it. Reactor 0 is the first. */
  public void takeOver(final int reactor) {
    owned[reactor] = true;
    rings.prepared(reactor).start();
  }

  /** As {@link Seat#isOwned}. */
  public boolean isOwned() {
    return owned[0];
  }

  /** Whether this reactor has its mutex. */
  public boolean isOwned(final int reactor) {
    return owned[reactor];
  }

  /** One duty cycle of a reactor that has its mutex; how much was done. */
  public int doWork(final int reactor, final long nowNs) {
    return reactors[reactor].doWork(nowNs);
  }

  /**
   * Stops every ring of a reactor in good order, as before the seat is left. In each cycle: a ring
   * whose start was under way must not keep the seat.
   */
  public void stopRings(final int reactor) {
    reactors[reactor].stopAll();
  }

  /** Rings that run, wait for a fence, or come to their end. */
  public int ringCount() {
    int count = 0;
    for (final Reactor reactor : reactors) {
      count += reactor.rings().started().length;
    }
    return count;
  }

  /** Whether any of those is of this session. */
  public boolean hasRings(final long sessionId) {
    for (final Reactor reactor : reactors) {
      for (final Ring ring : reactor.rings().started()) {
        if (ring.setup.sessionId() == sessionId) {
          return true;
        }
      }
    }
    return false;
  }

  /** Gives back private memory and descriptors, rings that were left in the middle included. */
  @Override
  public void close() {
    for (final Reactor reactor : reactors) {
      reactor.close();
    }
  }
}

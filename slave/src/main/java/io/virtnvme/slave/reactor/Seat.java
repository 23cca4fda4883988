package io.virtnvme.slave.reactor;

import io.virtnvme.ipc.relay.BdevHold;
import io.virtnvme.ipc.segment.SeatSegment;
import io.virtnvme.ipc.segment.TakeoverReport;
import io.virtnvme.slave.bdev.Bdev;
import io.virtnvme.slave.bdev.ReactorIo;
import io.virtnvme.slave.nvme.QueueEvents;
import io.virtnvme.slave.nvme.SessionParts;
import io.virtnvme.slave.nvme.SessionQueues;
import io.virtnvme.slave.session.RingHost;
import java.util.Arrays;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.function.BiConsumer;
import java.util.function.Supplier;

/** A seat that this process waits for or owns, as the control thread sees it. */
public final class Seat implements AutoCloseable, SeatQueues {
  private final int id;
  private final int[] cores;
  private final SeatSegment segment;
  private final SeatThread[] threads;
  private final Reactor[] reactors;
  private final ReactorEvents posted;
  private final ReactorRings rings;

  /**
   * Starts one thread per reactor; each waits for its mutex.
   *
   * @param cores one per reactor, -1 = not pinned
   * @param warm this process is a standby: its threads wait at real-time priority
   * @param ioFactory makes the kernel I/O of one reactor
   * @param events takes the news on the thread that its {@code execute} leads to
   */
  public Seat(
      final int id,
      final SeatSegment segment,
      final int[] cores,
      final boolean warm,
      final long idleSpinNs,
      final Supplier<ReactorIo> ioFactory,
      final ReactorEvents events) {
    this.id = id;
    this.cores = cores.clone();
    this.segment = segment;
    this.threads = new SeatThread[segment.reactorCount()];
    this.posted = new PostedEvents(events);
    this.reactors = new Reactor[threads.length];
    for (int i = 0; i < reactors.length; i++) {
      final ReactorIo io = ioFactory.get();
      io.reactorIndex(i);
      reactors[i] = new Reactor(segment.reactorAddress(i), idleSpinNs, io, posted);
    }
    this.rings = new ReactorRings(reactors, posted);
    final SeatTakeover takeover = new SeatTakeover(id, segment, warm, threads, posted);
    for (int i = 0; i < threads.length; i++) {
      threads[i] =
          new SeatThread(
              i,
              i < cores.length ? cores[i] : -1,
              warm,
              segment,
              reactors[i],
              rings.prepared(i),
              takeover,
              posted);
    }
    for (final SeatThread thread : threads) {
      thread.start();
    }
  }

  public int id() {
    return id;
  }

  /** The cores of the seat's reactors; empty when they are not pinned. */
  public int[] cores() {
    return Arrays.stream(cores).filter(core -> core >= 0).toArray();
  }

  /** How often the seat changed hands; names a takeover. */
  public long epoch() {
    return segment.epoch();
  }

  /** How this process took the seat; null before {@link ReactorEvents#onSeatOwned}. */
  public TakeoverReport takeover() {
    return segment.takeover(epoch());
  }

  /** True once this process owns the seat. */
  public boolean isOwned() {
    return threads[0].owns();
  }

  /**
   * Hands over a session as it is mapped now; each reactor starts its rings by itself when it gets
   * the seat. Replaces what was prepared for the session before. False when the seat is owned
   * already: the caller starts the rings itself.
   */
  public boolean prepare(final PreparedSession session) {
    return rings.prepare(session);
  }

  /** Forgets what was prepared for a session that ended. */
  public void forget(final long sessionId) {
    rings.forget(sessionId);
  }

  /**
   * Runs something on the control thread when every reactor has ended the duty cycle that it is in;
   * at once while the seat is not ours. What the control thread stored before is seen from then on.
   */
  public void afterCycle(final Runnable whenDone) {
    awaitAll((reactor, whenEnded) -> reactor.await(() -> true, whenEnded), whenDone);
  }

  /**
   * Runs something on the control thread when no request runs any more, here, of those for whom a
   * disk is held; also when the hold is over. At once while the seat is not ours.
   */
  public void awaitHeld(final Bdev bdev, final BdevHold.Who who, final Runnable whenDone) {
    awaitAll((reactor, whenIdle) -> reactor.awaitHeld(bdev, who, whenIdle), whenDone);
  }

  private void awaitAll(final BiConsumer<Reactor, Runnable> await, final Runnable whenDone) {
    if (!isOwned()) {
      whenDone.run();
      return;
    }
    final AtomicInteger pending = new AtomicInteger(reactors.length);
    for (final Reactor reactor : reactors) {
      reactor.execute(
          () ->
              await.accept(
                  reactor,
                  () -> {
                    if (pending.decrementAndGet() == 0) {
                      posted.execute(whenDone);
                    }
                  }));
    }
  }

  /** Its running rings, as far as there are any: none while the seat is not ours. */
  public RingHost rings() {
    return isOwned() ? rings : RingHost.NONE;
  }

  @Override
  public SessionQueues queues(final SessionParts parts, final QueueEvents events) {
    return new ReactorQueues(reactors, posted, this::isOwned, parts, events);
  }

  /**
   * Stops every ring in good order, then lets go of the seat; {@link ReactorEvents#onSeatReleased}
   * follows.
   */
  public void release() {
    for (final SeatThread thread : threads) {
      thread.requestStop();
    }
  }

  /**
   * Gives back what the seat holds in this process; after {@link ReactorEvents#onSeatReleased},
   * when nobody uses it any more.
   */
  @Override
  public void close() {
    for (final SeatThread thread : threads) {
      try {
        thread.join();
      } catch (final InterruptedException e) {
        Thread.currentThread().interrupt();
        return;
      }
      thread.reactor().close();
    }
    segment.close();
  }
}

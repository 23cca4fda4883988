package io.virtnvme.slave.reactor;

import io.virtnvme.ipc.segment.SeatSegment;
import io.virtnvme.slave.bdev.ReactorIo;
import io.virtnvme.slave.session.RingHost;
import io.virtnvme.slave.virtqueue.DirtyLog;
import io.virtnvme.slave.virtqueue.GuestMemory;
import io.virtnvme.slave.virtqueue.QueueSetup;
import java.util.Arrays;
import java.util.function.Supplier;

/**
 * A seat that this process waits for or owns, as the control thread sees it. As a {@link RingHost}
 * it spreads a session's rings over the seat's reactors.
 */
public final class Seat implements RingHost, AutoCloseable {
  private final int id;
  private final int[] cores;
  private final SeatSegment segment;
  private final SeatThread[] threads;
  private final ReactorRings rings;

  /**
   * Starts one thread per reactor; each waits for its mutex.
   *
   * @param cores one per reactor, -1 = not pinned
   * @param warm this process is a standby: its threads wait at real-time priority
   * @param ioFactory makes the kernel I/O of one reactor
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
    final Reactor[] reactors = new Reactor[threads.length];
    final SeatTakeover takeover = new SeatTakeover(id, segment, warm, threads, events);
    for (int i = 0; i < threads.length; i++) {
      reactors[i] = new Reactor(segment.reactorAddress(i), idleSpinNs, ioFactory.get(), events);
      threads[i] =
          new SeatThread(
              i, i < cores.length ? cores[i] : -1, warm, segment, reactors[i], takeover, events);
    }
    this.rings = new ReactorRings(reactors, events);
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
    boolean prepared = true;
    for (int i = 0; i < threads.length; i++) {
      final int reactor = i;
      prepared &=
          threads[i].prepare(
              session, setup -> rings.indexOf(setup.sessionId(), setup.queueIndex()) == reactor);
    }
    return prepared;
  }

  /** Forgets what was prepared for a session that ended. */
  public void forget(final long sessionId) {
    for (final SeatThread thread : threads) {
      thread.forget(sessionId);
    }
  }

  @Override
  public void start(final QueueSetup setup) {
    rings.start(setup);
  }

  @Override
  public void stop(final long sessionId, final int queueIndex, final Stopped whenStopped) {
    rings.stop(sessionId, queueIndex, whenStopped);
  }

  @Override
  public void update(
      final long sessionId,
      final GuestMemory memory,
      final DirtyLog log,
      final long features,
      final Runnable whenDone) {
    rings.update(sessionId, memory, log, features, whenDone);
  }

  @Override
  public void writeback(final long sessionId, final boolean on, final Runnable whenDone) {
    rings.writeback(sessionId, on, whenDone);
  }

  @Override
  public void updateCall(
      final long sessionId, final int queueIndex, final int callFd, final Runnable whenDone) {
    rings.updateCall(sessionId, queueIndex, callFd, whenDone);
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

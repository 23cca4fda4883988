package io.virtnvme.slave.reactor;

import io.virtnvme.ipc.segment.SeatSegment;
import io.virtnvme.slave.bdev.ReactorIo;
import io.virtnvme.slave.session.RingHost;
import io.virtnvme.slave.virtqueue.DirtyLog;
import io.virtnvme.slave.virtqueue.GuestMemory;
import io.virtnvme.slave.virtqueue.QueueSetup;
import java.util.Arrays;
import java.util.concurrent.atomic.AtomicInteger;
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
  private final ReactorEvents events;

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
    this.events = events;
    this.threads = new SeatThread[segment.reactorCount()];
    final SeatTakeover takeover = new SeatTakeover(id, segment, warm, threads, events);
    for (int i = 0; i < threads.length; i++) {
      final Reactor reactor =
          new Reactor(segment.reactorAddress(i), idleSpinNs, ioFactory.get(), events);
      threads[i] =
          new SeatThread(
              i, i < cores.length ? cores[i] : -1, warm, segment, reactor, takeover, events);
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
              session, setup -> reactorOf(setup.sessionId(), setup.queueIndex()) == reactor);
    }
    return prepared;
  }

  /** Forgets what was prepared for a session that ended. */
  public void forget(final long sessionId) {
    for (final SeatThread thread : threads) {
      thread.forget(sessionId);
    }
  }

  private int reactorOf(final long sessionId, final int queueIndex) {
    return (int) ((sessionId + queueIndex) % threads.length);
  }

  private Reactor reactor(final long sessionId, final int queueIndex) {
    return threads[reactorOf(sessionId, queueIndex)].reactor();
  }

  @Override
  public void start(final QueueSetup setup) {
    final Reactor reactor = reactor(setup.sessionId(), setup.queueIndex());
    reactor.execute(
        () -> {
          // A takeover may have started it already, from the same record.
          if (!reactor.has(setup.sessionId(), setup.queueIndex())) {
            reactor.start(reactor.make(setup));
          }
        });
  }

  @Override
  public void stop(final long sessionId, final int queueIndex, final Stopped whenStopped) {
    final Reactor reactor = reactor(sessionId, queueIndex);
    reactor.execute(() -> reactor.stop(sessionId, queueIndex, whenStopped));
  }

  @Override
  public void update(
      final long sessionId,
      final GuestMemory memory,
      final DirtyLog log,
      final long features,
      final Runnable whenDone) {
    final AtomicInteger pending = new AtomicInteger(threads.length);
    for (final SeatThread thread : threads) {
      final Reactor reactor = thread.reactor();
      reactor.execute(
          () ->
              reactor.update(
                  sessionId,
                  memory,
                  log,
                  features,
                  () -> {
                    if (pending.decrementAndGet() == 0) {
                      events.execute(whenDone);
                    }
                  }));
    }
  }

  @Override
  public void writeback(final long sessionId, final boolean on, final Runnable whenDone) {
    final AtomicInteger pending = new AtomicInteger(threads.length);
    for (final SeatThread thread : threads) {
      final Reactor reactor = thread.reactor();
      reactor.execute(
          () -> {
            reactor.rings().forEachTrusted(sessionId, agent -> agent.writeback(on));
            if (pending.decrementAndGet() == 0) {
              events.execute(whenDone);
            }
          });
    }
  }

  @Override
  public void updateCall(
      final long sessionId, final int queueIndex, final int callFd, final Runnable whenDone) {
    final Reactor reactor = reactor(sessionId, queueIndex);
    reactor.execute(
        () -> {
          reactor
              .rings()
              .forEachTrusted(
                  sessionId,
                  agent -> {
                    if (agent.setup().queueIndex() == queueIndex) {
                      agent.updateCall(callFd);
                    }
                  });
          events.execute(whenDone);
        });
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

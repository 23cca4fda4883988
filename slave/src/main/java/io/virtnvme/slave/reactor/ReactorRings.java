package io.virtnvme.slave.reactor;

import io.virtnvme.slave.ring.RingSetup;
import io.virtnvme.slave.session.RingHost;
import io.virtnvme.slave.virtqueue.DirtyLog;
import io.virtnvme.slave.virtqueue.GuestMemory;
import io.virtnvme.slave.virtqueue.VirtqueueRing;
import java.util.Arrays;
import java.util.concurrent.atomic.AtomicInteger;

/**
 * Spreads the rings of sessions over the reactors of one seat, those that are prepared for a
 * takeover as well as those that run. Control thread; what it asks for happens on the reactors, and
 * what they answer is called on the control thread.
 */
final class ReactorRings implements RingHost {
  private final Reactor[] reactors;
  private final PreparedRings[] prepared;
  private final ReactorEvents events;

  ReactorRings(final Reactor[] reactors, final ReactorEvents events) {
    this.reactors = reactors;
    this.prepared = new PreparedRings[reactors.length];
    Arrays.setAll(prepared, i -> new PreparedRings(reactors[i]));
    this.events = events;
  }

  /** What the reactor starts by itself when it gets the seat. */
  PreparedRings prepared(final int reactor) {
    return prepared[reactor];
  }

  /**
   * Hands over a session as it is mapped now, in place of what was prepared for it before. False
   * when a reactor has the seat already: the caller starts the rings itself.
   */
  boolean prepare(final PreparedSession session) {
    boolean all = true;
    for (int i = 0; i < prepared.length; i++) {
      final int reactor = i;
      all &=
          prepared[i].prepare(
              session, setup -> indexOf(setup.sessionId(), setup.queueIndex()) == reactor);
    }
    return all;
  }

  /** Forgets what was prepared for a session that ended. */
  void forget(final long sessionId) {
    for (final PreparedRings each : prepared) {
      each.forget(sessionId);
    }
  }

  /** Index of the reactor that runs a ring: the same in every process. */
  private int indexOf(final long sessionId, final int queueIndex) {
    return (int) ((sessionId + queueIndex) % reactors.length);
  }

  private Reactor reactor(final long sessionId, final int queueIndex) {
    return reactors[indexOf(sessionId, queueIndex)];
  }

  @Override
  public void start(final RingSetup setup) {
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
    reactor.execute(() -> reactor.stop(sessionId, queueIndex, whenStopped::onStopped));
  }

  @Override
  public void update(
      final long sessionId,
      final GuestMemory memory,
      final DirtyLog log,
      final long features,
      final Runnable whenDone) {
    final AtomicInteger pending = new AtomicInteger(reactors.length);
    for (final Reactor reactor : reactors) {
      reactor.execute(
          () ->
              reactor.updateMemory(
                  sessionId,
                  () ->
                      reactor
                          .rings()
                          .forEachTrusted(
                              sessionId,
                              VirtqueueRing.class,
                              ring -> ring.update(memory, log, features)),
                  () -> {
                    if (pending.decrementAndGet() == 0) {
                      events.execute(whenDone);
                    }
                  }));
    }
  }

  @Override
  public void writeback(final long sessionId, final boolean on, final Runnable whenDone) {
    final AtomicInteger pending = new AtomicInteger(reactors.length);
    for (final Reactor reactor : reactors) {
      reactor.execute(
          () -> {
            reactor
                .rings()
                .forEachTrusted(sessionId, VirtqueueRing.class, ring -> ring.writeback(on));
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
                  VirtqueueRing.class,
                  ring -> {
                    if (ring.setup().queueIndex() == queueIndex) {
                      ring.updateCall(callFd);
                    }
                  });
          events.execute(whenDone);
        });
  }
}

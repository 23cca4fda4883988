package io.virtnvme.slave.reactor;

import io.virtnvme.slave.session.RingHost;
import io.virtnvme.slave.virtqueue.DirtyLog;
import io.virtnvme.slave.virtqueue.GuestMemory;
import io.virtnvme.slave.virtqueue.QueueSetup;
import java.util.concurrent.atomic.AtomicInteger;

/**
 * Spreads the rings of sessions over the reactors of one seat. Control thread; what it asks for
 * happens on the reactors, and what they answer is called on the control thread.
 */
final class ReactorRings implements RingHost {
  private final Reactor[] reactors;
  private final ReactorEvents events;

  ReactorRings(final Reactor[] reactors, final ReactorEvents events) {
    this.reactors = reactors;
    this.events = events;
  }

  /** Index of the reactor that runs a ring: the same in every process. */
  int indexOf(final long sessionId, final int queueIndex) {
    return (int) ((sessionId + queueIndex) % reactors.length);
  }

  private Reactor reactor(final long sessionId, final int queueIndex) {
    return reactors[indexOf(sessionId, queueIndex)];
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
    final AtomicInteger pending = new AtomicInteger(reactors.length);
    for (final Reactor reactor : reactors) {
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
    final AtomicInteger pending = new AtomicInteger(reactors.length);
    for (final Reactor reactor : reactors) {
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
}

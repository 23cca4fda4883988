package io.virtnvme.slave.reactor;

import io.virtnvme.slave.nvme.NvmeQueueAgent;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.function.Consumer;

/**
 * The reactors of a seat as the commands of one NVMe session reach them. A completion queue with
 * its submission queues runs on the reactor that session and queue id select. Control thread, where
 * nothing else is said.
 */
final class SessionReactors {
  private final Reactor[] reactors;
  private final ReactorEvents control;
  private final long sessionId;

  SessionReactors(final Reactor[] reactors, final ReactorEvents control, final long sessionId) {
    this.reactors = reactors;
    this.control = control;
    this.sessionId = sessionId;
  }

  /** The reactor of a completion queue: the same in every process. */
  Reactor of(final int completionQueueId) {
    return reactors[(int) ((sessionId + completionQueueId) % reactors.length)];
  }

  /**
   * Runs a command on a reactor. A fault of guest memory that hits in the middle of it, whoever's
   * memory that is, makes it run once more: every command must bear that. A journal that must not
   * be trusted fails the session. Any thread.
   */
  void execute(final Reactor reactor, final Runnable command) {
    reactor.execute(
        () -> {
          try {
            failing(reactor, command);
          } catch (final InternalError e) {
            execute(reactor, command);
            throw e;
          }
        });
  }

  private void failing(final Reactor reactor, final Runnable command) {
    try {
      command.run();
    } catch (final IllegalStateException e) {
      reactor.fail(sessionId, e.getMessage());
    }
  }

  /** Runs a change on every reactor, then calls back on the control thread. */
  void executeOnAll(final Consumer<Reactor> change, final Runnable whenDone) {
    final AtomicInteger pending = new AtomicInteger(reactors.length);
    for (final Reactor reactor : reactors) {
      final Runnable part = part(pending, whenDone);
      execute(
          reactor,
          () -> {
            change.accept(reactor);
            part.run();
          });
    }
  }

  /** Counts once, however often it runs; the last one of all calls back on the control thread. */
  private Runnable part(final AtomicInteger pending, final Runnable whenDone) {
    final AtomicBoolean ended = new AtomicBoolean();
    return () -> {
      if (ended.compareAndSet(false, true) && pending.decrementAndGet() == 0) {
        control.execute(whenDone);
      }
    };
  }

  /**
   * Changes the memory or the disks of every agent; calls back when no command uses the ones
   * before.
   */
  void replace(final Consumer<NvmeQueueAgent> change, final Runnable whenUnused) {
    final AtomicInteger pending = new AtomicInteger(reactors.length);
    for (final Reactor reactor : reactors) {
      final Runnable part = part(pending, whenUnused);
      execute(
          reactor,
          () -> reactor.updateMemory(sessionId, () -> forEachAgent(reactor, change), part));
    }
  }

  /** Stops every ring of the session, then calls back on the control thread. */
  void stopAll(final Runnable whenStopped) {
    final AtomicInteger pending = new AtomicInteger(reactors.length);
    for (final Reactor reactor : reactors) {
      stopAll(reactor, part(pending, whenStopped));
    }
  }

  /** Looks again whenever a ring has ended, until there is none. */
  private void stopAll(final Reactor reactor, final Runnable part) {
    execute(
        reactor,
        () -> {
          boolean isOver = true;
          for (final Ring ring : reactor.rings().started()) {
            if (ring.setup.sessionId() == sessionId) {
              isOver = false;
              reactor.stop(sessionId, ring.setup.queueIndex(), base -> stopAll(reactor, part));
            }
          }
          if (isOver) {
            part.run();
          }
        });
  }

  /** Every agent that can be trusted. Reactor thread. */
  void forEachAgent(final Reactor reactor, final Consumer<NvmeQueueAgent> change) {
    reactor
        .rings()
        .forEachTrusted(
            sessionId, NvmeQueueAgent.class, agent -> failing(reactor, () -> change.accept(agent)));
  }

  /** The agent of a ring that can be trusted, or null. Reactor thread. */
  NvmeQueueAgent agent(final int completionQueueId) {
    final Ring ring = of(completionQueueId).rings().find(sessionId, completionQueueId);
    return ring == null || ring.state == Ring.State.ABANDONED ? null : (NvmeQueueAgent) ring.agent;
  }

  /**
   * Does something with a ring's agent, null when there is none that can be trusted, as soon as the
   * dead owner's requests have let go of its disks. Reactor thread.
   */
  void afterFence(final int completionQueueId, final Consumer<NvmeQueueAgent> action) {
    final Reactor reactor = of(completionQueueId);
    final Ring ring = reactor.rings().find(sessionId, completionQueueId);
    if (ring != null && ring.state == Ring.State.FENCED) {
      execute(reactor, () -> afterFence(completionQueueId, action));
    } else {
      action.accept(agent(completionQueueId));
    }
  }
}

package io.virtnvme.slave.reactor;

import io.virtnvme.ipc.nvme.Status;
import io.virtnvme.slave.nvme.AdminOutcome;
import io.virtnvme.slave.nvme.AdminRequest;
import io.virtnvme.slave.nvme.ControllerArea;
import io.virtnvme.slave.nvme.NvmeQueueAgent;

/**
 * The controller image and the admin queue of one session, both in the hands of one reactor, which
 * does everything in the order of the calls. Control thread.
 */
final class ReactorAdmin {
  static final int ADMIN_QUEUE = 0;

  private final SessionReactors reactors;
  private final ReactorEvents control;
  private final ControllerArea area;
  private final ImageQueues queues;

  ReactorAdmin(
      final SessionReactors reactors,
      final ReactorEvents control,
      final ControllerArea area,
      final ImageQueues queues) {
    this.reactors = reactors;
    this.control = control;
    this.area = area;
    this.queues = queues;
  }

  /** What the reactor does to commit an image; null for none. */
  private Runnable storing(final byte[] image) {
    if (image == null) {
      return () -> {};
    }
    final boolean isChanged = queues.advance(image);
    return () -> area.store(image, isChanged);
  }

  /** Commits an image, then calls back. */
  void store(final byte[] image, final Runnable whenCommitted) {
    final Runnable store = storing(image);
    reactors.execute(
        reactors.of(ADMIN_QUEUE),
        () -> {
          store.run();
          control.execute(whenCommitted);
        });
  }

  /** Commits an image, then posts a completion; calls back when that is done. */
  void complete(
      final byte[] image,
      final long fetchNumber,
      final int status,
      final int result,
      final Runnable whenJournalled) {
    final Runnable store = storing(image);
    reactors.execute(
        reactors.of(ADMIN_QUEUE),
        () -> {
          store.run();
          final NvmeQueueAgent agent = reactors.agent(ADMIN_QUEUE);
          if (agent != null) {
            agent.complete(fetchNumber, status, result, whenJournalled);
          }
        });
  }

  /** As {@link io.virtnvme.slave.nvme.QueueHost#completeEvent}. */
  void completeEvent(
      final byte[] image, final long fetchNumber, final int result, final Runnable whenJournalled) {
    complete(image, fetchNumber, Status.SUCCESS, result, whenJournalled);
  }

  /** As {@link io.virtnvme.slave.nvme.QueueHost#flush}. */
  void flush(final Runnable whenDone) {
    reactors.execute(
        reactors.of(ADMIN_QUEUE),
        () -> {
          final NvmeQueueAgent agent = reactors.agent(ADMIN_QUEUE);
          if (agent == null) {
            control.execute(whenDone);
          } else if (!agent.flushAll(whenDone)) {
            // Another one runs, which began before some of what this one is for.
            flush(whenDone);
          }
        });
  }

  /** The request for a command that was handed over. */
  AdminRequest request(final long fetchNumber, final byte[] entry) {
    return new Request(fetchNumber, entry);
  }

  /** One admin command, as the controller answers it. Control thread. */
  private final class Request implements AdminRequest {
    private final long fetchNumber;
    private final byte[] entry;

    Request(final long fetchNumber, final byte[] entry) {
      this.fetchNumber = fetchNumber;
      this.entry = entry;
    }

    @Override
    public long fetchNumber() {
      return fetchNumber;
    }

    @Override
    public byte[] entry() {
      return entry.clone();
    }

    @Override
    public void transfer(final byte[] data, final Transferred whenTransferred) {
      reactors.execute(
          reactors.of(ADMIN_QUEUE),
          () -> {
            final NvmeQueueAgent agent = reactors.agent(ADMIN_QUEUE);
            if (agent != null) {
              final int status = agent.transfer(fetchNumber, data);
              control.execute(() -> whenTransferred.onTransferred(status));
            }
          });
    }

    @Override
    public void complete(
        final byte[] image, final AdminOutcome outcome, final Runnable whenJournalled) {
      if (outcome.isOutstanding()) {
        store(image, whenJournalled);
      } else {
        ReactorAdmin.this.complete(
            image, fetchNumber, outcome.status(), outcome.result(), whenJournalled);
      }
    }
  }
}

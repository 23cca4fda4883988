package io.virtnvme.slave.nvme;

import io.virtnvme.journal.NvmeCqJournal;
import io.virtnvme.slave.nvme.NvmeCommandTask.State;
import io.virtnvme.slave.ring.InPlaceRecovery;
import java.util.List;

/**
 * Takes over what is inflight in the journals of a completion queue and its submission queues: at
 * the start from a predecessor, and after an error in the middle of a step from this very process,
 * whose tasks say what a channel holds and what is done. Carries out what {@link InPlaceRecovery}
 * decides; at the start no task knows anything. One reactor thread; not the data path.
 */
final class QueueRecovery {
  private final CompletionRing completion;
  private final CommandRunner runner;
  private final QueueReports reports;
  private boolean isAnyHeld;

  QueueRecovery(
      final CompletionRing completion, final CommandRunner runner, final QueueReports reports) {
    this.completion = completion;
    this.runner = runner;
    this.reports = reports;
  }

  /** Whether a channel held a command when this was used last. */
  boolean isAnyHeld() {
    return isAnyHeld;
  }

  /**
   * Opens the journals, repairs them, and judges every task.
   *
   * @param admin takes the admin queue's commands; null when there is none
   * @return how many commands are to be run again
   * @throws IllegalStateException when a journal must not be trusted
   */
  int run(final List<SubmissionRing> rings, final AdminLine admin) {
    openJournals(rings);
    final NvmeCqJournal.Recovery recovery = completion.journal().recover();
    begin();
    int again = 0;
    for (final SubmissionRing ring : rings) {
      again += takeBack(ring, admin);
      if (recovery.inconsistencyCount() > 0) {
        ring.counters().onGuestFault();
      }
    }
    takeBackOwnFlush();
    runner.endRecovery(rings);
    completion.findHead();
    return again;
  }

  /**
   * Makes or checks the journals, and touches no guest memory. Also due when the queues cannot be
   * reached yet: the driver may ring from now on, and what clears the doorbells of new queues must
   * not come after that.
   *
   * @throws IllegalStateException when a journal must not be trusted
   */
  void openJournals(final List<SubmissionRing> rings) {
    requireUsable(completion.open());
    for (final SubmissionRing ring : rings) {
      requireUsable(ring.open());
    }
  }

  private static void requireUsable(final String complaint) {
    if (complaint != null) {
      throw new IllegalStateException(complaint);
    }
  }

  private void begin() {
    runner.forgetAll();
    completion.clearDone();
    isAnyHeld = false;
  }

  private int takeBack(final SubmissionRing ring, final AdminLine admin) {
    final int[] slots = new int[ring.taskCount()];
    final int count = ring.journal().inflightSlots(slots);
    final boolean[] inJournal = new boolean[ring.taskCount()];
    ring.executingCount = 0;
    int again = 0;
    for (int i = 0; i < count; i++) {
      inJournal[slots[i]] = true;
      again += takeBack(ring.task(slots[i]), true, admin);
    }
    for (int slot = 0; slot < inJournal.length; slot++) {
      if (!inJournal[slot] && ring.task(slot).state != State.FREE) {
        takeBack(ring.task(slot), false, admin);
      }
    }
    ring.counters().onResubmitted(again);
    return again;
  }

  private int takeBack(
      final NvmeCommandTask task, final boolean isInJournal, final AdminLine admin) {
    switch (InPlaceRecovery.decide(task.state.progress(), isInJournal)) {
      case FREE -> {
        task.reset(State.FREE);
        if (task.whenPosted != null) {
          // Its completion was posted; the error hit before that was told.
          reports.execute(task.whenPosted);
          task.whenPosted = null;
        }
      }
      case RUN_AGAIN -> {
        task.reset(State.FETCHED);
        if (task.ring.queue().queueId() == 0) {
          admin.hand(task);
        } else {
          runner.runLater(task);
        }
        return 1;
      }
      case KEEP -> {
        task.state = State.SUBMITTED;
        keep(task, true);
      }
      case ORPHAN -> {
        task.state = State.ORPHAN;
        keep(task, false);
      }
      case PUBLISH -> {
        task.reset(State.DONE);
        completion.addDone(task);
      }
      case FINISH, STAY -> {}
    }
    return 0;
  }

  private void keep(final NvmeCommandTask task, final boolean isExecuting) {
    runner.keep(task, isExecuting);
    isAnyHeld = true;
  }

  private void takeBackOwnFlush() {
    final NvmeCommandTask flush = runner.ownFlush();
    if (flush.state.isHeld()) {
      keep(flush, true);
    } else if (flush.state != State.FREE) {
      runner.runLater(flush);
    }
  }

  /**
   * After an error while the completion queue is in no memory: keeps what a channel holds. The rest
   * is judged by {@link #run} when the queue is there again.
   */
  void keepHeld(final List<SubmissionRing> rings) {
    begin();
    for (final SubmissionRing ring : rings) {
      ring.executingCount = 0;
      for (int slot = 0; slot < ring.taskCount(); slot++) {
        final NvmeCommandTask task = ring.task(slot);
        if (task.state.isHeld()) {
          keep(task, task.state != State.ORPHAN);
        }
      }
    }
    takeBackOwnFlush();
    runner.endRecovery(rings);
  }

  /** No channel holds anything any more, whatever the tasks say. */
  void dropHeld(final List<SubmissionRing> rings) {
    isAnyHeld = false;
    for (final SubmissionRing ring : rings) {
      for (int slot = 0; slot < ring.taskCount(); slot++) {
        if (ring.task(slot).state.isHeld()) {
          runner.dropHeld(ring.task(slot));
        }
      }
    }
    if (runner.ownFlush().state.isHeld()) {
      runner.dropHeld(runner.ownFlush());
    }
  }
}

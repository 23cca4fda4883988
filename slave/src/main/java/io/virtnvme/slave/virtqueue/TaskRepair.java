package io.virtnvme.slave.virtqueue;

import io.virtnvme.slave.blk.BlkTask;
import io.virtnvme.slave.ring.InPlaceRecovery;

/**
 * Brings the tasks of a ring back to a sound state after its agent was left by an error in the
 * middle of a step: carries out what {@link InPlaceRecovery} decides. One reactor thread; not for
 * the data path.
 */
final class TaskRepair {
  private final TaskTable tasks;
  private final MemoryGenerations memory;

  TaskRepair(final TaskTable tasks, final MemoryGenerations memory) {
    this.tasks = tasks;
    this.memory = memory;
  }

  /**
   * Judges every task. Those to run again are deferred, those to publish are done, those in {@link
   * BlkTask.State#ENDED} are yet to be finished.
   *
   * @param slots what the journal holds, the first {@code count}, in fetch order
   * @return how many requests are in flight
   */
  int takeBack(final int[] slots, final int count) {
    tasks.clearLists();
    int inFlightCount = 0;
    for (int i = 0; i < count; i++) {
      tasks.mark(slots[i]);
      inFlightCount += takeBack(tasks.task(slots[i]), true);
    }
    for (int slot = 0; slot < tasks.slotCount(); slot++) {
      if (!tasks.isMarked(slot)) {
        takeBack(tasks.task(slot), false);
      }
    }
    tasks.rebuildBlocks();
    memory.countHolders(tasks);
    return inFlightCount;
  }

  private int takeBack(final BlkTask task, final boolean inJournal) {
    final InPlaceRecovery.Decision decision =
        InPlaceRecovery.decide(task.state().progress(), inJournal);
    switch (decision) {
      case FREE -> task.reset(BlkTask.State.FREE);
      case RUN_AGAIN -> {
        task.reset(BlkTask.State.FETCHED);
        tasks.defer(task.slot());
      }
      case KEEP -> {
        if (task.state() == BlkTask.State.ORPHAN) {
          task.state(BlkTask.State.SUBMITTED);
        }
      }
      case ORPHAN -> task.state(BlkTask.State.ORPHAN);
      case PUBLISH -> {
        task.reset(BlkTask.State.DONE);
        tasks.addDone(task.slot());
      }
      case FINISH, STAY -> {}
    }
    return decision == InPlaceRecovery.Decision.STAY ? 0 : 1;
  }

  /** Tasks that the channel holds. */
  int heldCount() {
    int count = 0;
    for (int slot = 0; slot < tasks.slotCount(); slot++) {
      if (tasks.task(slot).state().isHeld()) {
        count++;
      }
    }
    return count;
  }

  /**
   * The channel holds nothing, whatever the tasks say: what it seems to hold is deferred, or free
   * when it was an orphan.
   *
   * @return how many were deferred
   */
  int dropHeld() {
    int count = 0;
    for (int slot = 0; slot < tasks.slotCount(); slot++) {
      final BlkTask task = tasks.task(slot);
      if (!task.state().isHeld()) {
        continue;
      }
      memory.release(task);
      tasks.releaseBlock(task);
      if (task.state() == BlkTask.State.ORPHAN) {
        task.state(BlkTask.State.FREE);
      } else {
        task.state(BlkTask.State.FETCHED);
        tasks.defer(slot);
        count++;
      }
    }
    return count;
  }
}

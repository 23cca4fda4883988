package io.virtnvme.slave.virtqueue;

import io.virtnvme.slave.blk.BlkTask;

/**
 * Which of the memory maps that a ring has had each request uses: the number of the map in use, and
 * how many requests still hold one from before. One reactor thread; the data path's calls do not
 * allocate.
 */
final class MemoryGenerations {
  private int current;
  private int previousHolderCount;

  /** The number that requests are stamped with which begin now. */
  int current() {
    return current;
  }

  /** Whether a request still holds a map from before the last {@link #next}. */
  boolean isPreviousHeld() {
    return previousHolderCount > 0;
  }

  /** A request lets go of its memory. */
  void release(final BlkTask task) {
    if (task.generation() != current) {
      previousHolderCount--;
    }
  }

  /**
   * A new map is in use from now on. What waits for room with addresses of the old one is to be
   * read again.
   */
  void next(final TaskTable tasks) {
    current++;
    for (int slot = 0; slot < tasks.slotCount(); slot++) {
      final BlkTask task = tasks.task(slot);
      if (task.state() == BlkTask.State.PREPARED) {
        tasks.releaseBlock(task);
        task.state(BlkTask.State.FETCHED);
      }
    }
    countHolders(tasks);
  }

  /** Looks at every slot: not for the data path. */
  void countHolders(final TaskTable tasks) {
    previousHolderCount = 0;
    for (int slot = 0; slot < tasks.slotCount(); slot++) {
      final BlkTask task = tasks.task(slot);
      final boolean holds = task.state().isHeld() || task.state() == BlkTask.State.ENDED;
      if (holds && task.generation() != current) {
        previousHolderCount++;
      }
    }
  }
}

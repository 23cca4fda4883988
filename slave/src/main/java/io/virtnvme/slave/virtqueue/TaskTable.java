package io.virtnvme.slave.virtqueue;

import io.virtnvme.ipc.memory.Mem;
import io.virtnvme.slave.blk.BlkTask;

/**
 * The tasks of a ring, one per slot of its journal; the native blocks they borrow; and two lists of
 * slots: those that wait for room (in fetch order) and those that are done (in the order of their
 * ends). One reactor thread; the data path's calls do not allocate.
 */
final class TaskTable {
  /** Blocks at most: more requests than that wait in the ring, or deferred. */
  private static final int BLOCKS_MAX = 256;

  private final BlkTask[] tasks;
  private final long blocks;
  private final int blockCount;
  private final int[] freeBlocks;
  private final int[] deferred;
  private final int[] done;
  private final boolean[] mark;
  private int freeBlockCount;
  private int deferredFirst;
  private int deferredCount;
  private int doneFirst;
  private int doneCount;

  TaskTable(final int slotCount) {
    this.tasks = new BlkTask[slotCount];
    for (int slot = 0; slot < slotCount; slot++) {
      tasks[slot] = new BlkTask(slot);
    }
    this.blockCount = Math.min(slotCount, BLOCKS_MAX);
    this.blocks = Mem.allocate((long) blockCount * BlkTask.BLOCK_LENGTH);
    this.freeBlocks = new int[blockCount];
    this.deferred = new int[slotCount];
    this.done = new int[slotCount];
    this.mark = new boolean[slotCount];
    rebuildBlocks();
  }

  int slotCount() {
    return tasks.length;
  }

  BlkTask task(final int slot) {
    return tasks[slot];
  }

  /** Lends the task a block; false if none is free. */
  boolean takeBlock(final BlkTask task) {
    if (freeBlockCount == 0) {
      return false;
    }
    task.block(freeBlocks[--freeBlockCount]);
    return true;
  }

  long blockAddress(final BlkTask task) {
    return blocks + (long) task.block() * BlkTask.BLOCK_LENGTH;
  }

  void releaseBlock(final BlkTask task) {
    final int block = task.block();
    if (block != BlkTask.NO_BLOCK) {
      task.block(BlkTask.NO_BLOCK);
      freeBlocks[freeBlockCount++] = block;
    }
  }

  /** Frees every block that no task of the channel holds. */
  void rebuildBlocks() {
    final boolean[] held = new boolean[blockCount];
    for (final BlkTask task : tasks) {
      if (task.block() != BlkTask.NO_BLOCK) {
        held[task.block()] = true;
      }
    }
    freeBlockCount = 0;
    for (int block = blockCount - 1; block >= 0; block--) {
      if (!held[block]) {
        freeBlocks[freeBlockCount++] = block;
      }
    }
  }

  void defer(final int slot) {
    deferred[wrapped(deferredFirst + deferredCount)] = slot;
    deferredCount++;
  }

  int deferredCount() {
    return deferredCount;
  }

  int firstDeferred() {
    return deferred[deferredFirst];
  }

  void removeFirstDeferred() {
    deferredFirst = wrapped(deferredFirst + 1);
    deferredCount--;
  }

  void addDone(final int slot) {
    done[wrapped(doneFirst + doneCount)] = slot;
    doneCount++;
  }

  int doneCount() {
    return doneCount;
  }

  /** The slot at a position behind the first done one. */
  int doneAt(final int position) {
    return done[wrapped(doneFirst + position)];
  }

  void removeDone(final int count) {
    doneFirst = wrapped(doneFirst + count);
    doneCount -= count;
  }

  private int wrapped(final int index) {
    return index >= tasks.length ? index - tasks.length : index;
  }

  /** Empties both lists and all marks. */
  void clearLists() {
    deferredFirst = 0;
    deferredCount = 0;
    doneFirst = 0;
    doneCount = 0;
    for (int slot = 0; slot < mark.length; slot++) {
      mark[slot] = false;
    }
  }

  void mark(final int slot) {
    mark[slot] = true;
  }

  boolean isMarked(final int slot) {
    return mark[slot];
  }

  void free() {
    Mem.free(blocks);
  }
}

package io.virtnvme.slave.nvme;

import io.virtnvme.ipc.memory.Mem;
import io.virtnvme.ipc.nvme.PrpEntry;

/**
 * What the commands of a ring borrow: native blocks for iovecs in two sizes, and aligned buffers
 * for data that the guest does not see. One reactor thread; the data path's calls do not allocate.
 */
final class CommandBuffers {
  /** Bytes of a buffer: what Compare and Verify read at a time, and more than all DSM ranges. */
  static final int BOUNCE_BYTES = 16 * 1024;

  private static final int BOUNCE_COUNT = 2;
  private static final int ALIGNMENT = 4096;

  /** Iovecs of a block; both sizes are an odd number of cache lines. One is for the buffer. */
  private static final int SMALL_ENTRIES = 36;

  private static final int LARGE_ENTRIES =
      ControllerConfig.TRANSFER_BYTES_MAX / PrpEntry.PAGE_BYTES + 4;
  private static final int SMALL_COUNT_MAX = 256;
  private static final int LARGE_COUNT_MAX = 16;

  private final long memory;
  private final long bounces;
  private final int smallCount;
  private final int largeCount;
  private final int[] freeSmall;
  private final int[] freeLarge;
  private final int[] freeBounces = new int[BOUNCE_COUNT];
  private int freeSmallCount;
  private int freeLargeCount;
  private int freeBounceCount;

  /**
   * For a ring.
   *
   * @param commandCount commands that it may have at the same time
   */
  CommandBuffers(final int commandCount) {
    smallCount = Math.min(commandCount, SMALL_COUNT_MAX);
    largeCount = Math.min(commandCount, LARGE_COUNT_MAX);
    freeSmall = new int[smallCount];
    freeLarge = new int[largeCount];
    memory =
        Mem.allocate(
            ((long) smallCount * SMALL_ENTRIES + (long) largeCount * LARGE_ENTRIES)
                    * IovecList.ENTRY_LENGTH
                + ALIGNMENT
                + (BOUNCE_COUNT + 1L) * BOUNCE_BYTES);
    final long blocksEnd = address(smallCount + largeCount);
    bounces = (blocksEnd + ALIGNMENT - 1) & -ALIGNMENT;
    forgetAll();
  }

  /**
   * Lends a task a block.
   *
   * @param pieceCount iovecs that it is going to need
   * @return false if none is free
   */
  boolean takeBlock(final NvmeCommandTask task, final int pieceCount) {
    if (pieceCount < SMALL_ENTRIES && freeSmallCount > 0) {
      task.block = freeSmall[--freeSmallCount];
    } else if (freeLargeCount > 0) {
      task.block = freeLarge[--freeLargeCount];
    } else {
      return false;
    }
    return true;
  }

  /** Gives a task with a small block a large one; false if none is free, and it has none then. */
  boolean exchangeForLarge(final NvmeCommandTask task) {
    releaseBlock(task);
    return takeBlock(task, LARGE_ENTRIES);
  }

  boolean isLarge(final NvmeCommandTask task) {
    return task.block >= smallCount;
  }

  private long address(final int block) {
    return memory
        + ((long) Math.min(block, smallCount) * SMALL_ENTRIES
                + (long) Math.max(0, block - smallCount) * LARGE_ENTRIES)
            * IovecList.ENTRY_LENGTH;
  }

  long iovecs(final NvmeCommandTask task) {
    return address(task.block);
  }

  /** Iovecs that its block has room for, one for the buffer not counted. */
  int capacity(final NvmeCommandTask task) {
    return (isLarge(task) ? LARGE_ENTRIES : SMALL_ENTRIES) - 1;
  }

  /** The iovec behind those that {@link #capacity} counts. */
  long bounceIovec(final NvmeCommandTask task) {
    return iovecs(task) + (long) capacity(task) * IovecList.ENTRY_LENGTH;
  }

  /** Lends a task a buffer; false if none is free. */
  boolean takeBounce(final NvmeCommandTask task) {
    if (freeBounceCount == 0) {
      return false;
    }
    task.bounce = freeBounces[--freeBounceCount];
    return true;
  }

  /** A buffer of the same length for data that nobody wants; all commands share it. */
  long trash() {
    return bounces + (long) BOUNCE_COUNT * BOUNCE_BYTES;
  }

  long bounceAddress(final NvmeCommandTask task) {
    return bounces + (long) task.bounce * BOUNCE_BYTES;
  }

  /** Takes back all that a task has. */
  void release(final NvmeCommandTask task) {
    releaseBlock(task);
    if (task.bounce != NvmeCommandTask.NO_BLOCK) {
      freeBounces[freeBounceCount++] = task.bounce;
      task.bounce = NvmeCommandTask.NO_BLOCK;
    }
  }

  private void releaseBlock(final NvmeCommandTask task) {
    final int block = task.block;
    if (block != NvmeCommandTask.NO_BLOCK) {
      task.block = NvmeCommandTask.NO_BLOCK;
      if (block < smallCount) {
        freeSmall[freeSmallCount++] = block;
      } else {
        freeLarge[freeLargeCount++] = block;
      }
    }
  }

  /** Makes everything free that none of these tasks has: recovery, before {@link #keep}. */
  final void forgetAll() {
    freeSmallCount = 0;
    freeLargeCount = 0;
    freeBounceCount = 0;
    for (int i = 0; i < smallCount; i++) {
      freeSmall[freeSmallCount++] = i;
    }
    for (int i = 0; i < largeCount; i++) {
      freeLarge[freeLargeCount++] = smallCount + i;
    }
    for (int i = 0; i < BOUNCE_COUNT; i++) {
      freeBounces[freeBounceCount++] = i;
    }
  }

  /** After {@link #forgetAll}: a task that the channel holds keeps what it has. */
  void keep(final NvmeCommandTask task) {
    if (task.block != NvmeCommandTask.NO_BLOCK) {
      if (task.block < smallCount) {
        freeSmallCount = remove(freeSmall, freeSmallCount, task.block);
      } else {
        freeLargeCount = remove(freeLarge, freeLargeCount, task.block);
      }
    }
    if (task.bounce != NvmeCommandTask.NO_BLOCK) {
      freeBounceCount = remove(freeBounces, freeBounceCount, task.bounce);
    }
  }

  private static int remove(final int[] list, final int count, final int value) {
    for (int i = 0; i < count; i++) {
      if (list[i] == value) {
        list[i] = list[count - 1];
        return count - 1;
      }
    }
    return count;
  }

  void free() {
    Mem.free(memory);
  }
}

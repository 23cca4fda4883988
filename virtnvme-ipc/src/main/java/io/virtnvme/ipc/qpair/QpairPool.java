package io.virtnvme.ipc.qpair;

import java.util.Arrays;

/**
 * Lends parts of a queue pair's pool: runs of blocks, named by their offset. It is the client's own
 * affair and lies in the client's memory: no slave knows what is lent, and a client that dies takes
 * its books along with the whole pool, so nothing has to be reclaimed. One thread; nothing here
 * allocates but the constructor.
 *
 * <p>First fit behind the run lent last. A request's buffer is given back after its completion, not
 * before: until then the slave may store into it.
 */
public final class QpairPool {
  /** No run of free blocks is long enough. */
  public static final long NONE = -1;

  private static final int WORD_SHIFT = 6;

  private final int blockBytes;
  private final int blockCount;

  /** Bit i is set while block i is lent. */
  private final long[] lent;

  private int freeCount;
  private int next;

  /**
   * All blocks free.
   *
   * @param poolLength bytes; what is left behind the last whole block is never lent
   */
  public QpairPool(final long poolLength, final int blockBytes) {
    if (blockBytes <= 0 || poolLength < blockBytes || poolLength / blockBytes > Integer.MAX_VALUE) {
      throw new IllegalArgumentException(
          "poolLength=" + poolLength + " blockBytes=" + blockBytes + ": no block, or too many");
    }
    this.blockBytes = blockBytes;
    this.blockCount = (int) (poolLength / blockBytes);
    this.lent = new long[(blockCount + Long.SIZE - 1) >> WORD_SHIFT];
    this.freeCount = blockCount;
  }

  /** Blocks that the pool has. */
  public int blockCount() {
    return blockCount;
  }

  /** Blocks that are not lent; they need not lie together. */
  public int freeCount() {
    return freeCount;
  }

  /**
   * Lends a run of blocks.
   *
   * @param count blocks, at least 1
   * @return its offset in the pool in bytes, or {@link #NONE}
   */
  public long lend(final int count) {
    if (count < 1) {
      throw new IllegalArgumentException("count=" + count + ", allowed 1 and more");
    }
    if (count > freeCount) {
      return NONE;
    }
    int first = findRun(next, blockCount, count);
    if (first < 0) {
      first = findRun(0, (int) Math.min(blockCount, (long) next + count - 1), count);
    }
    if (first < 0) {
      return NONE;
    }
    flip(first, count);
    freeCount -= count;
    next = first + count == blockCount ? 0 : first + count;
    return (long) first * blockBytes;
  }

  /**
   * Takes back what {@link #lend} gave.
   *
   * @throws IllegalArgumentException when that is not lent as a whole: nothing is changed
   */
  public void giveBack(final long offset, final int count) {
    final long first = offset / blockBytes;
    if (offset < 0
        || offset % blockBytes != 0
        || count < 1
        || count > blockCount - first
        || nextWith(false, (int) first, (int) first + count) < first + count) {
      throw new IllegalArgumentException("not lent: offset=" + offset + " blocks=" + count);
    }
    flip((int) first, count);
    freeCount += count;
  }

  /** Everything is free again. */
  public void clear() {
    Arrays.fill(lent, 0);
    freeCount = blockCount;
    next = 0;
  }

  /** The first run of free blocks in from..to - 1, or -1. */
  private int findRun(final int from, final int to, final int count) {
    int first = nextWith(false, from, to);
    while (count <= to - first) {
      final int end = nextWith(true, first, first + count);
      if (end == first + count) {
        return first;
      }
      first = nextWith(false, end, to);
    }
    return -1;
  }

  /** The first block in from..to - 1 that is lent, or is not; {@code to} when there is none. */
  private int nextWith(final boolean isLent, final int from, final int to) {
    int block = from;
    while (block < to) {
      final long word = lent[block >> WORD_SHIFT];
      final long left = (isLent ? word : ~word) >>> block;
      if (left != 0) {
        return Math.min(to, block + Long.numberOfTrailingZeros(left));
      }
      block = (block | Long.SIZE - 1) + 1;
    }
    return to;
  }

  /** Between free and lent. */
  private void flip(final int first, final int count) {
    int block = first;
    int left = count;
    while (left > 0) {
      final int place = block & Long.SIZE - 1;
      final int bits = Math.min(left, Long.SIZE - place);
      lent[block >> WORD_SHIFT] ^= (-1L >>> (Long.SIZE - bits)) << place;
      block += bits;
      left -= bits;
    }
  }
}

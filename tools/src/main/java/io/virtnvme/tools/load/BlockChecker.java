package io.virtnvme.tools.load;

import io.virtnvme.ipc.memory.Mem;
import java.util.Arrays;

/**
 * Knows for each block of 4 KiB what a disk may answer, by the contract of a disk alone: a read
 * gives the last acknowledged write, or one that was in flight while the read was.
 *
 * <p>Writes of one block never overlap in time (the caller asks {@link #isBusy} first), so the
 * versions of a block only grow. A read that overlapped no write of its block must return that one
 * version, intact. One that did overlap may see the block half written: then each of its words must
 * belong to a version of that span. The same holds after a write that failed. No allocation after
 * construction; used by one thread.
 */
public final class BlockChecker {
  private static final int NO_BLOCK = -1;

  private static final int NONE_IN_FLIGHT = 0;

  private final BlockPattern pattern;
  private final int blockCount;
  private final int[] acknowledged;
  private final int[] inFlight;

  /** Newest version whose write failed, so that it is there, or not, or in parts. */
  private final int[] failed;

  private long verifiedBlocks;
  private long overlappedBlocks;
  private long wrongBlocks;
  private int wrongLba = NO_BLOCK;
  private int wrongLow;
  private int wrongHigh;
  private final long[] wrongHead = new long[4];

  /**
   * @param salt makes this run's blocks different from those of any other run
   * @param blockCount blocks of 4 KiB, all zero on the disk at the start
   */
  public BlockChecker(final long salt, final int blockCount) {
    this.pattern = new BlockPattern(salt);
    this.blockCount = blockCount;
    this.acknowledged = new int[blockCount];
    this.inFlight = new int[blockCount];
    this.failed = new int[blockCount];
  }

  public int blockCount() {
    return blockCount;
  }

  /** True when a write of one of these blocks is in flight. */
  public boolean isBusy(final int lba, final int count) {
    for (int i = lba; i < lba + count; i++) {
      if (inFlight[i] != NONE_IN_FLIGHT) {
        return true;
      }
    }
    return false;
  }

  /**
   * Fills the data of a write that is about to be submitted, with the next version of each block.
   */
  public void beginWrite(final int lba, final int count, final long address) {
    for (int i = 0; i < count; i++) {
      final int block = lba + i;
      final int version = Math.max(acknowledged[block], failed[block]) + 1;
      inFlight[block] = version;
      pattern.fill(address + (long) i * BlockPattern.BLOCK_BYTES, block, version);
    }
  }

  /** The write was acknowledged: from now on nothing older may be read. */
  public void endWrite(final int lba, final int count) {
    for (int i = lba; i < lba + count; i++) {
      acknowledged[i] = inFlight[i];
      inFlight[i] = NONE_IN_FLIGHT;
    }
  }

  /**
   * The write ended with an error: nothing is acknowledged, and until the next one that is, the
   * blocks may hold what it wrote, what they held before, or parts of both.
   */
  public void failWrite(final int lba, final int count) {
    for (int i = lba; i < lba + count; i++) {
      failed[i] = inFlight[i];
      inFlight[i] = NONE_IN_FLIGHT;
    }
  }

  /**
   * Remembers, for a read about to be submitted, the oldest version that each block may show.
   *
   * @param low receives {@code count} versions
   */
  public void beginRead(final int lba, final int count, final int[] low) {
    System.arraycopy(acknowledged, lba, low, 0, count);
  }

  /**
   * Checks the data of a read that completed.
   *
   * @param low what {@link #beginRead} gave
   * @return blocks that are wrong
   */
  public int endRead(final int lba, final int count, final long address, final int[] low) {
    int wrong = 0;
    for (int i = 0; i < count; i++) {
      final int block = lba + i;
      final int high = Math.max(Math.max(acknowledged[block], failed[block]), inFlight[block]);
      final long blockAddress = address + (long) i * BlockPattern.BLOCK_BYTES;
      if (isAllowed(block, low[i], high, blockAddress)) {
        verifiedBlocks++;
      } else {
        wrong++;
        noteWrong(block, low[i], high, blockAddress);
      }
    }
    return wrong;
  }

  private boolean isAllowed(final int block, final int low, final int high, final long address) {
    if (low == 0 && BlockPattern.isZero(address)) {
      return true;
    }
    final long version = pattern.intactVersion(address, block);
    if (version >= Math.max(1, low) && version <= high) {
      return true;
    }
    if (low == high) {
      return false;
    }
    overlappedBlocks++;
    return isMixed(block, low, high, address);
  }

  /** Whether each word belongs to some version of the span; zeroes count as version 0. */
  private boolean isMixed(final int block, final int low, final int high, final long address) {
    for (int offset = 0; offset < BlockPattern.BLOCK_BYTES; offset += Long.BYTES) {
      // The checksum of a mixture is that of one version or the other; the words themselves decide.
      if (offset != BlockPattern.CHECKSUM_OFFSET
          && !isWordOf(block, low, high, offset, Mem.getLong(address + offset))) {
        return false;
      }
    }
    return true;
  }

  private boolean isWordOf(
      final int block, final int low, final int high, final int offset, final long word) {
    if (low == 0 && word == 0) {
      return true;
    }
    for (int version = Math.max(1, low); version <= high; version++) {
      if (word == pattern.word(block, version, offset)) {
        return true;
      }
    }
    return false;
  }

  private void noteWrong(final int block, final int low, final int high, final long address) {
    if (wrongBlocks++ == 0) {
      wrongLba = block;
      wrongLow = low;
      wrongHigh = high;
      for (int i = 0; i < wrongHead.length; i++) {
        wrongHead[i] = Mem.getLong(address + (long) i * Long.BYTES);
      }
    }
  }

  /** Blocks read and found right, counted each time. */
  public long verifiedBlocks() {
    return verifiedBlocks;
  }

  /** Blocks read while a write of them was in flight, and seen half written. */
  public long overlappedBlocks() {
    return overlappedBlocks;
  }

  public long wrongBlocks() {
    return wrongBlocks;
  }

  /** The first wrong block in words; empty when there was none. Allocates: not for the loop. */
  public String describeWrong() {
    if (wrongLba == NO_BLOCK) {
      return "";
    }
    return "block "
        + wrongLba
        + " should hold version "
        + wrongLow
        + (wrongLow == wrongHigh ? "" : ".." + wrongHigh)
        + " and begins with "
        + Arrays.toString(
            Arrays.stream(wrongHead).mapToObj(word -> "0x" + Long.toHexString(word)).toArray())
        + " (magic, LBA, version, checksum)";
  }
}

package io.virtnvme.tools.load;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.virtnvme.ipc.memory.Mem;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;

class BlockCheckerTest {
  private static final int BLOCK_COUNT = 8;
  private static final int BLOCK = BlockPattern.BLOCK_BYTES;

  /** What the disk holds, and the buffer of a write. */
  private final long disk = Mem.allocate((long) BLOCK_COUNT * BLOCK);

  private final long buffer = Mem.allocate((long) BLOCK_COUNT * BLOCK);
  private final BlockChecker checker = new BlockChecker(42, BLOCK_COUNT);
  private final int[] low = new int[BLOCK_COUNT];

  @AfterEach
  void free() {
    Mem.free(disk);
    Mem.free(buffer);
  }

  private long blockOnDisk(final int lba) {
    return disk + (long) lba * BLOCK;
  }

  private void write(final int lba, final int count) {
    checker.beginWrite(lba, count, buffer);
    Mem.copy(buffer, blockOnDisk(lba), (long) count * BLOCK);
    checker.endWrite(lba, count);
  }

  private int read(final int lba, final int count) {
    checker.beginRead(lba, count, low);
    return checker.endRead(lba, count, blockOnDisk(lba), low);
  }

  @Test
  void shouldAcceptZeroesBeforeTheFirstWriteOnly() {
    assertEquals(0, read(0, BLOCK_COUNT));
    write(2, 1);
    Mem.fill(blockOnDisk(2), BLOCK, (byte) 0);
    assertEquals(1, read(2, 1));
  }

  @Test
  void shouldAcceptWhatWasAcknowledged() {
    write(1, 4);
    write(2, 1);
    assertEquals(0, read(0, BLOCK_COUNT));
    assertEquals(BLOCK_COUNT, checker.verifiedBlocks());
  }

  @Test
  void shouldRejectAnAcknowledgedWriteThatWasUndone() {
    write(3, 1);
    final long old = Mem.allocate(BLOCK);
    Mem.copy(blockOnDisk(3), old, BLOCK);
    write(3, 1);
    Mem.copy(old, blockOnDisk(3), BLOCK);
    Mem.free(old);
    assertEquals(1, read(3, 1));
    assertTrue(checker.describeWrong().contains("block 3 should hold version 2"));
  }

  @Test
  void shouldRejectTheDataOfAnotherBlock() {
    write(3, 2);
    Mem.copy(blockOnDisk(3), blockOnDisk(4), BLOCK);
    assertEquals(1, read(3, 2));
  }

  @Test
  void shouldRejectOneChangedBit() {
    write(0, 1);
    final long address = blockOnDisk(0) + BLOCK - 1;
    Mem.putByte(address, (byte) (Mem.getByte(address) ^ 1));
    assertEquals(1, read(0, 1));
  }

  @Test
  void shouldRejectBlocksOfAnotherRun() {
    new BlockPattern(43).fill(blockOnDisk(0), 0, 1);
    write(0, 1);
    new BlockPattern(43).fill(blockOnDisk(0), 0, 1);
    assertEquals(1, read(0, 1));
  }

  @Test
  void shouldAcceptOldNewAndMixedWhileAWriteIsInFlight() {
    write(5, 1);
    checker.beginWrite(5, 1, buffer);
    assertTrue(checker.isBusy(4, 2));
    assertEquals(0, read(5, 1), "old");
    Mem.copy(buffer, blockOnDisk(5), BLOCK / 2);
    assertEquals(0, read(5, 1), "mixed");
    assertEquals(1, checker.overlappedBlocks());
    Mem.copy(buffer, blockOnDisk(5), BLOCK);
    assertEquals(0, read(5, 1), "new");
    checker.endWrite(5, 1);
    assertFalse(checker.isBusy(5, 1));
  }

  @Test
  void shouldRejectAMixtureOnceTheWriteIsAcknowledged() {
    write(5, 1);
    checker.beginWrite(5, 1, buffer);
    Mem.copy(buffer, blockOnDisk(5), BLOCK / 2);
    checker.endWrite(5, 1);
    assertEquals(1, read(5, 1));
  }

  @Test
  void shouldRejectMadeUpWordsAlsoWhileAWriteIsInFlight() {
    write(5, 1);
    checker.beginWrite(5, 1, buffer);
    Mem.putLong(blockOnDisk(5) + 1024, 0x1234_5678_9ABC_DEF0L);
    assertEquals(1, read(5, 1));
  }

  @Test
  void shouldAcceptAReadThatOverlappedTwoWrites() {
    write(6, 1);
    checker.beginRead(6, 1, low);
    write(6, 1);
    final long seen = Mem.allocate(BLOCK);
    Mem.copy(blockOnDisk(6), seen, BLOCK);
    write(6, 1);
    assertEquals(0, checker.endRead(6, 1, seen, low));
    Mem.free(seen);
  }

  @Test
  void shouldAcceptOldNewAndMixedAfterAWriteThatFailedAndNothingElse() {
    write(7, 1);
    checker.beginWrite(7, 1, buffer);
    checker.failWrite(7, 1);
    assertFalse(checker.isBusy(7, 1));
    assertEquals(0, read(7, 1), "old");
    Mem.copy(buffer, blockOnDisk(7), BLOCK / 2);
    assertEquals(0, read(7, 1), "mixed");
    Mem.copy(buffer, blockOnDisk(7), BLOCK);
    assertEquals(0, read(7, 1), "new");
    Mem.fill(blockOnDisk(7), BLOCK, (byte) 0x55);
    assertEquals(1, read(7, 1), "made up");
  }

  @Test
  void shouldRejectWhatAFailedWriteLeftOnceALaterOneIsAcknowledged() {
    write(7, 1);
    checker.beginWrite(7, 1, buffer);
    checker.failWrite(7, 1);
    final long failed = Mem.allocate(BLOCK);
    Mem.copy(buffer, failed, BLOCK);
    write(7, 1);
    assertEquals(0, read(7, 1));
    Mem.copy(failed, blockOnDisk(7), BLOCK);
    Mem.free(failed);
    assertEquals(1, read(7, 1));
  }
}

package io.virtnvme.journal;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.virtnvme.ipc.memory.Mem;
import java.util.Arrays;
import java.util.HashSet;
import java.util.Random;
import java.util.Set;
import net.jqwik.api.ForAll;
import net.jqwik.api.Property;
import net.jqwik.api.lifecycle.AfterTry;
import net.jqwik.api.lifecycle.BeforeTry;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

class PackedInflightTest {
  private static final int QUEUE_SIZE = 8;
  private static final int AVAILABLE_WRAP_1 = 0x0080;
  private static final int USED_WRAP_1 = 0x8080;

  private TestMemory memory;
  private PackedInflight journal;
  private final int[] entries = new int[QUEUE_SIZE];

  @BeforeEach
  @BeforeTry
  void setUp() {
    memory = new TestMemory((int) PackedInflight.regionLength(QUEUE_SIZE) + 16 * QUEUE_SIZE);
    journal = new PackedInflight(memory.address(), QUEUE_SIZE);
  }

  @AfterEach
  @AfterTry
  void tearDown() {
    memory.close();
  }

  private long ring() {
    return memory.address() + PackedInflight.regionLength(QUEUE_SIZE);
  }

  private void setRingFlags(final int index, final int flags) {
    Mem.putShort(ring() + 16L * index + 14, (short) flags);
  }

  private int ringFlags(final int index) {
    return Mem.getUnsignedShort(ring() + 16L * index + 14);
  }

  private int fetch(final int id, final int descriptorCount) {
    journal.fetchBegin();
    for (int i = 0; i < descriptorCount; i++) {
      assertTrue(journal.fetchDescriptor(0x1000L * id + i, 512, id, AVAILABLE_WRAP_1));
    }
    return journal.fetchCommit();
  }

  private int[] recover() {
    journal = new PackedInflight(memory.address(), QUEUE_SIZE);
    return Arrays.copyOf(entries, journal.recover(ring(), entries));
  }

  @Test
  void shouldBeNewUntilInitialised() {
    assertTrue(journal.isNew());
    for (final byte[] left : memory.photographed(() -> journal.initialise(0, 7, true))) {
      memory.set(left);
      assertTrue(journal.isNew());
      assertNull(journal.validate());
    }
    journal.initialise(0, 7, false);
    assertFalse(journal.isNew());
    assertNull(journal.validate());
    assertEquals(7, journal.usedIndex());
    assertFalse(journal.usedWrapCounter());
    assertEquals(7, journal.availIndex());
    assertFalse(journal.availWrapCounter());
    recover();
    assertEquals(7, journal.usedIndex());
    assertFalse(journal.usedWrapCounter());
  }

  @Test
  void shouldRefuseForeignHeaderWithItsValues() {
    journal.initialise(0, 0, true);
    Mem.putShort(memory.address() + 18, (short) 8);
    assertTrue(journal.validate().contains("used_idx=0 old_used_idx=8"), journal.validate());
    Mem.putShort(memory.address() + 10, (short) 0x8000);
    assertTrue(journal.validate().contains("desc_num=32768 queueSize=8"), journal.validate());
    Mem.putShort(memory.address() + 8, (short) 0xFFFF);
    assertTrue(journal.validate().contains("version=65535"), journal.validate());
  }

  @Test
  void shouldRefuseImpossibleArguments() {
    assertThrows(IllegalArgumentException.class, () -> new PackedInflight(64, 0));
    assertThrows(IllegalArgumentException.class, () -> new PackedInflight(68, 8));
    assertThrows(IllegalArgumentException.class, () -> journal.initialise(0, 8, true));
    assertThrows(IllegalArgumentException.class, () -> journal.initialise(0, -1, true));
  }

  @Test
  void shouldRefuseDescriptorsBeyondTheRing() {
    journal.initialise(0, 0, true);
    fetch(1, 5);
    journal.fetchBegin();
    for (int i = 0; i < 3; i++) {
      assertTrue(journal.fetchDescriptor(0, 0, 0, 0));
    }
    assertFalse(journal.fetchDescriptor(0, 0, 0, 0));
    assertEquals(1, journal.inflightCount());
    assertEquals(5, journal.availIndex());
    fetch(2, 3);
    assertEquals(0, journal.availIndex());
    assertFalse(journal.availWrapCounter());
  }

  @Test
  void shouldGiveBackDescriptorsOfRequestInOrder() {
    journal.initialise(0, 0, true);
    fetch(1, 1);
    journal.fetchBegin();
    journal.fetchDescriptor(0x1000, 16, 0, 1);
    journal.fetchDescriptor(0x2000, -1, 0, 3);
    journal.fetchDescriptor(0x3000, 1, 0xABCD, 2);
    journal.fetchCommit();
    assertArrayEquals(new int[] {0, 1}, recover());
    assertEquals(3, journal.descriptorCount(1));
    assertEquals(0xABCD, journal.bufferId(1));
    int entry = 1;
    assertEquals(0x1000, journal.descriptorAddress(entry));
    assertEquals(16, journal.descriptorLength(entry));
    assertEquals(1, journal.descriptorFlags(entry));
    entry = journal.nextEntry(entry);
    assertEquals(0x2000, journal.descriptorAddress(entry));
    assertEquals(-1, journal.descriptorLength(entry));
    entry = journal.nextEntry(entry);
    assertEquals(0x3000, journal.descriptorAddress(entry));
    assertEquals(entry, journal.lastEntry(1));
    assertEquals(4, journal.availIndex());
    assertTrue(journal.availWrapCounter());
  }

  @Test
  void shouldResubmitInOrderOfCounterNotOfEntry() {
    journal.initialise(0, 0, true);
    final int first = fetch(1, 1);
    final int second = fetch(2, 1);
    journal.batchBegin();
    journal.batchAdd(first);
    journal.batchCommitHeads();
    setRingFlags(0, USED_WRAP_1);
    journal.batchEnd();
    assertEquals(first, fetch(3, 1));
    assertArrayEquals(new int[] {second, first}, recover());
    final int fourth = fetch(4, 1);
    assertArrayEquals(new int[] {second, first, fourth}, recover());
  }

  @Test
  void shouldDropRequestThatWasNotCommitted() {
    journal.initialise(0, 0, true);
    fetch(1, 2);
    journal.fetchBegin();
    journal.fetchDescriptor(1, 1, 1, 1);
    assertArrayEquals(new int[] {0}, recover());
    assertEquals(2, journal.availIndex());
    assertEquals(2, fetch(2, 6));
  }

  @Test
  void shouldRollBackUnpublishedBatchAndTakeBackItsUsedDescriptors() {
    journal.initialise(0, 6, true);
    final int first = fetch(1, 1);
    final int second = fetch(2, 2);
    final int third = fetch(3, 1);
    setRingFlags(6, AVAILABLE_WRAP_1);
    setRingFlags(7, AVAILABLE_WRAP_1);
    setRingFlags(0, 0x8000);
    setRingFlags(1, 0x8000);
    journal.batchBegin();
    assertEquals(6 | 0x8000, journal.batchAdd(second));
    assertEquals(0, journal.batchAdd(third));
    assertEquals(1, journal.batchAdd(first));
    journal.batchCommitHeads();
    setRingFlags(1, 0);
    setRingFlags(0, 0);

    assertArrayEquals(new int[] {first, second, third}, recover());
    assertEquals(6, journal.usedIndex());
    assertTrue(journal.usedWrapCounter());
    assertEquals(2, journal.availIndex());
    assertFalse(journal.availWrapCounter());
    assertEquals(0x8000, ringFlags(0));
    assertEquals(0x8000, ringFlags(1));
    assertEquals(AVAILABLE_WRAP_1, ringFlags(6));
    assertEquals(AVAILABLE_WRAP_1, ringFlags(7));
    assertEquals(0, journal.inconsistencyCount());
  }

  @Test
  void shouldCommitPublishedBatch() {
    journal.initialise(0, 6, true);
    final int first = fetch(1, 1);
    final int second = fetch(2, 2);
    final int third = fetch(3, 1);
    journal.batchBegin();
    journal.batchAdd(third);
    journal.batchAdd(second);
    journal.batchCommitHeads();
    setRingFlags(6, USED_WRAP_1);

    assertArrayEquals(new int[] {first}, recover());
    assertEquals(1, journal.usedIndex());
    assertFalse(journal.usedWrapCounter());
    assertEquals(2, journal.availIndex());
    assertEquals(second, fetch(4, 1));
    assertEquals(0, journal.inconsistencyCount());
  }

  @Test
  void shouldCommitPublishedBatchAsLongAsTheRing() {
    journal.initialise(0, 3, true);
    final int only = fetch(1, QUEUE_SIZE);
    setRingFlags(3, AVAILABLE_WRAP_1);
    journal.batchBegin();
    journal.batchAdd(only);
    journal.batchCommitHeads();
    final byte[] unpublished = memory.bytes();
    setRingFlags(3, USED_WRAP_1);
    assertArrayEquals(new int[0], recover());
    assertEquals(3, journal.usedIndex());
    assertFalse(journal.usedWrapCounter());
    memory.set(unpublished);
    assertArrayEquals(new int[] {only}, recover());
    assertTrue(journal.usedWrapCounter());
    assertEquals(0, journal.inconsistencyCount());
  }

  @Test
  void shouldDropBrokenChainAndMakeItsEntriesFree() {
    journal.initialise(0, 0, true);
    fetch(1, 3);
    final int sound = fetch(2, 2);
    Mem.putShort(memory.address() + 32 + 2, (short) 0xFFFF);
    assertArrayEquals(new int[] {sound}, recover());
    assertEquals(2, journal.inconsistencyCount());
    assertArrayEquals(new int[] {sound}, recover());
    assertEquals(0, journal.inconsistencyCount());
    fetch(3, 6);
  }

  @Test
  void shouldNotFollowLoopOfFreeList() {
    journal.initialise(0, 0, true);
    fetch(1, 2);
    Mem.putShort(memory.address() + 32 + 5 * 32 + 2, (short) 2);
    assertArrayEquals(new int[] {0}, recover());
    assertEquals(1, journal.inconsistencyCount());
    fetch(2, 6);
  }

  @Test
  void shouldNotBelieveLinksOfTheRegionWhileRunning() {
    journal.initialise(0, 0, true);
    final int first = fetch(1, 2);
    final int second = fetch(2, 3);
    Mem.fill(memory.address(), PackedInflight.regionLength(QUEUE_SIZE), (byte) 0xEE);
    memory.photographed(
        () -> {
          journal.batchBegin();
          assertEquals(0x8000, journal.batchAdd(second));
          assertEquals(0x8003, journal.batchAdd(first));
          journal.batchCommitHeads();
          journal.batchEnd();
          fetch(3, QUEUE_SIZE);
        });
    assertEquals(1, journal.inflightCount());
  }

  @Property
  void shouldStayInsideWhateverRegionAndRingHold(@ForAll final long seed) {
    final Random random = new Random(seed);
    final byte[] garbage = new byte[memory.lengthBytes()];
    random.nextBytes(garbage);
    final int[] small = {12, 14, 16, 18};
    for (final int offset : small) {
      garbage[offset] = (byte) random.nextInt(QUEUE_SIZE + 2);
      garbage[offset + 1] = (byte) (random.nextInt(16) / 15);
    }
    garbage[20] = (byte) random.nextInt(3);
    garbage[21] = (byte) random.nextInt(3);
    for (int entry = 0; entry < QUEUE_SIZE; entry++) {
      final int offset = 32 + 32 * entry;
      garbage[offset] = (byte) random.nextInt(3);
      for (int field = 2; field < 8; field += 2) {
        garbage[offset + field] = (byte) random.nextInt(QUEUE_SIZE + 2);
        garbage[offset + field + 1] = (byte) (random.nextInt(16) / 15);
      }
    }
    memory.set(garbage);
    final int[] count = new int[1];
    memory.photographed(() -> count[0] = journal.recover(ring(), entries));
    final Set<Integer> held = new HashSet<>();
    for (int i = 0; i < count[0]; i++) {
      int entry = entries[i];
      for (int k = 0; k < journal.descriptorCount(entries[i]); k++) {
        assertTrue(entry >= 0 && entry < QUEUE_SIZE && held.add(entry));
        entry = journal.nextEntry(entry);
      }
    }
    final int[] first = Arrays.copyOf(entries, count[0]);
    assertArrayEquals(first, recover());
    assertEquals(0, journal.inconsistencyCount());
    if (held.size() < QUEUE_SIZE) {
      memory.photographed(() -> fetch(1, QUEUE_SIZE - held.size()));
    }
    journal.fetchBegin();
    assertFalse(journal.fetchDescriptor(0, 0, 0, 0));
  }
}

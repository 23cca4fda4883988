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
import net.jqwik.api.constraints.IntRange;
import net.jqwik.api.lifecycle.AfterTry;
import net.jqwik.api.lifecycle.BeforeTry;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

class SplitInflightTest {
  private static final int QUEUE_SIZE = 8;

  private TestMemory memory;
  private SplitInflight journal;
  private final int[] heads = new int[QUEUE_SIZE];

  @BeforeEach
  @BeforeTry
  void setUp() {
    memory = new TestMemory((int) SplitInflight.regionLength(QUEUE_SIZE));
    journal = new SplitInflight(memory.address(), QUEUE_SIZE);
  }

  @AfterEach
  @AfterTry
  void tearDown() {
    memory.close();
  }

  private int[] recover(final int ringUsedIndex) {
    journal = new SplitInflight(memory.address(), QUEUE_SIZE);
    return Arrays.copyOf(heads, journal.recover(ringUsedIndex, heads));
  }

  private void complete(final int newUsedIndex, final int... batch) {
    journal.batchBegin();
    for (final int head : batch) {
      journal.batchAdd(head);
    }
    journal.batchCommitHeads();
    journal.batchEnd(newUsedIndex);
  }

  @Test
  void shouldTakeUsedIndexOfNewRegionFromTheRing() {
    journal.initialise(0, 5);
    journal.onFetch(0);
    assertArrayEquals(new int[] {0}, recover(5));
    assertEquals(0, journal.inconsistencyCount());
  }

  @Test
  void shouldBeNewUntilInitialised() {
    assertTrue(journal.isNew());
    assertNull(journal.validate());
    for (final byte[] left : memory.photographed(() -> journal.initialise(0, 7))) {
      memory.set(left);
      assertTrue(journal.isNew());
      assertNull(journal.validate());
    }
    journal.initialise(0, 7);
    assertFalse(journal.isNew());
    assertNull(journal.validate());
  }

  @Test
  void shouldRefuseForeignHeaderWithItsValues() {
    journal.initialise(0, 0);
    Mem.putShort(memory.address() + 10, (short) 128);
    assertTrue(journal.validate().contains("desc_num=128 queueSize=8"), journal.validate());
    Mem.putShort(memory.address() + 8, (short) 2);
    assertTrue(journal.validate().contains("version=2"), journal.validate());
  }

  @Test
  void shouldRefuseImpossibleArguments() {
    assertThrows(IllegalArgumentException.class, () -> new SplitInflight(64, 0));
    assertThrows(IllegalArgumentException.class, () -> new SplitInflight(64, 32769));
    assertThrows(IllegalArgumentException.class, () -> new SplitInflight(68, 8));
  }

  @Test
  void shouldResubmitInOrderOfCounterNotOfHead() {
    journal.initialise(0, 0);
    for (final int head : new int[] {6, 1, 4, 0, 7}) {
      journal.onFetch(head);
    }
    complete(1, 4);
    journal.onFetch(4);
    assertArrayEquals(new int[] {6, 1, 0, 7, 4}, recover(1));
    journal.onFetch(3);
    assertArrayEquals(new int[] {6, 1, 0, 7, 4, 3}, recover(1));
  }

  @Test
  void shouldKeepCountOfWhatIsInflight() {
    journal.initialise(0, 0xFFFF);
    journal.onFetch(2);
    journal.onFetch(3);
    journal.onFetch(4);
    assertEquals(3, journal.inflightCount());
    complete(1, 3, 2);
    assertEquals(1, journal.inflightCount());
    assertTrue(journal.isInflight(4));
    assertFalse(journal.isInflight(3));
    assertArrayEquals(new int[] {4}, recover(1));
    assertEquals(1, journal.inflightCount());
  }

  @Test
  void shouldClearWholeLastBatchWhenUsedIndexIsBehindOverTheWrap() {
    journal.initialise(0, 0xFFFE);
    for (int head = 0; head < 6; head++) {
      journal.onFetch(head);
    }
    journal.batchBegin();
    journal.batchAdd(5);
    journal.batchAdd(0);
    journal.batchAdd(3);
    journal.batchCommitHeads();
    // The ring's index went from 0xFFFE to 1, and then the back-end died.
    assertArrayEquals(new int[] {1, 2, 4}, recover(1));
    assertArrayEquals(new int[] {1, 2, 4}, recover(1));
    assertEquals(0, journal.inconsistencyCount());
  }

  @Test
  void shouldSubmitBatchAgainThatWasNotPublished() {
    journal.initialise(0, 9);
    journal.onFetch(1);
    journal.onFetch(2);
    journal.batchBegin();
    journal.batchAdd(2);
    journal.batchAdd(1);
    journal.batchCommitHeads();
    assertArrayEquals(new int[] {1, 2}, recover(9));
  }

  /** A back-end that sets no links, completes one by one, and counts from 0. */
  @Test
  void shouldRecoverRegionOfBackEndThatCompletesOneByOne() {
    journal.initialise(0x4000_0000L, 3);
    for (int head = 0; head < 3; head++) {
      Mem.putLong(memory.address() + 16 + 16L * head + 8, head);
      Mem.putByte(memory.address() + 16 + 16L * head, (byte) 1);
    }
    Mem.putShort(memory.address() + 12, (short) 1);
    assertArrayEquals(new int[] {0, 2}, recover(4));
  }

  @Test
  void shouldTrustFlagsWhenRingAndRegionAreUnrelated() {
    journal.initialise(0, 0);
    journal.onFetch(3);
    journal.onFetch(1);
    assertArrayEquals(new int[] {3, 1}, recover(1000));
    assertEquals(1, journal.inconsistencyCount());
    assertArrayEquals(new int[] {3, 1}, recover(1000));
    assertEquals(0, journal.inconsistencyCount());
  }

  @Test
  void shouldStopAtLinkOutsideTheRegionAndCountIt() {
    journal.initialise(0, 0);
    journal.onFetch(0);
    journal.onFetch(1);
    Mem.putShort(memory.address() + 12, (short) 0);
    Mem.putShort(memory.address() + 16 + 6, (short) 0xFFFF);
    assertArrayEquals(new int[] {1}, recover(2));
    assertEquals(1, journal.inconsistencyCount());
  }

  @Test
  void shouldStopAtLoopOfLinksAndCountIt() {
    journal.initialise(0, 0);
    journal.onFetch(0);
    Mem.putShort(memory.address() + 16 + 6, (short) 0);
    assertArrayEquals(new int[0], recover(8));
    assertEquals(1, journal.inconsistencyCount());
  }

  @Test
  void shouldDropGarbageFlagsAndCountThem() {
    journal.initialise(0, 0);
    journal.onFetch(6);
    Mem.putByte(memory.address() + 16, (byte) 0xFF);
    Mem.putByte(memory.address() + 32, (byte) 2);
    assertArrayEquals(new int[] {6}, recover(0));
    assertEquals(2, journal.inconsistencyCount());
  }

  @Test
  void shouldNotBelieveTheRegionWhileRunning() {
    journal.initialise(0, 0);
    journal.onFetch(6);
    journal.onFetch(2);
    Mem.fill(memory.address(), memory.lengthBytes(), (byte) 0xEE);
    assertTrue(journal.isInflight(6));
    memory.photographed(() -> complete(2, 6, 2));
    assertEquals(0, journal.inflightCount());
  }

  @Property
  void shouldStayInsideWhateverTheRegionHolds(
      @ForAll final long seed, @ForAll @IntRange(max = 0xFFFF) final int ringUsedIndex) {
    final Random random = new Random(seed);
    final byte[] garbage = new byte[memory.lengthBytes()];
    random.nextBytes(garbage);
    for (int head = 0; head < QUEUE_SIZE; head++) {
      garbage[16 + 16 * head] = (byte) random.nextInt(3);
      garbage[16 + 16 * head + 6] = (byte) random.nextInt(QUEUE_SIZE + 1);
      garbage[16 + 16 * head + 7] = (byte) (random.nextInt(8) / 7);
    }
    memory.set(garbage);
    final boolean near = random.nextBoolean();
    final int usedIndex =
        near
            ? (Mem.getUnsignedShort(memory.address() + 14) + random.nextInt(QUEUE_SIZE + 1))
            : ringUsedIndex;
    final int[] count = new int[1];
    memory.photographed(() -> count[0] = journal.recover(usedIndex, heads));
    final Set<Integer> distinct = new HashSet<>();
    for (int i = 0; i < count[0]; i++) {
      assertTrue(heads[i] >= 0 && heads[i] < QUEUE_SIZE && distinct.add(heads[i]));
    }
    assertEquals(count[0], journal.inflightCount());
    final int[] first = Arrays.copyOf(heads, count[0]);
    assertArrayEquals(first, recover(usedIndex));
    assertEquals(0, journal.inconsistencyCount());
    memory.photographed(() -> complete(usedIndex + first.length, first));
    assertArrayEquals(new int[0], recover(usedIndex + first.length));
  }
}

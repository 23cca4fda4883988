package io.virtnvme.journal;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.virtnvme.ipc.memory.Mem;
import java.util.Arrays;
import java.util.BitSet;
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

/** Single traps, and garbage, on two submission queues that share a completion queue. */
class NvmeJournalTest {
  private static final int SIZE = 8;
  private static final int CQ_SIZE = 6;
  private static final long CREATION = 3;
  private static final int SQ_LENGTH = 128 + SIZE * 128;
  private static final int FIRST_SQ = 64;
  private static final int SECOND_SQ = FIRST_SQ + SQ_LENGTH;
  private static final int CQ_RING = SECOND_SQ + SQ_LENGTH;
  private static final int ENTRY = CQ_RING + CQ_SIZE * 16 + 32;
  private static final int FIRST_ID = 1;
  private static final int SECOND_ID = 0xFFFF;

  private TestMemory memory;
  private NvmeCqJournal cq;
  private NvmeSqJournal first;
  private NvmeSqJournal second;
  private final int[] slots = new int[SIZE];

  @BeforeEach
  @BeforeTry
  void setUp() {
    memory = new TestMemory(ENTRY + 64);
    makeObjects();
    cq.initialise(CREATION);
    first.initialise(CREATION);
    second.initialise(CREATION);
  }

  @AfterEach
  @AfterTry
  void tearDown() {
    memory.close();
  }

  private void makeObjects() {
    cq = new NvmeCqJournal(memory.address(), CQ_SIZE);
    first = new NvmeSqJournal(memory.address() + FIRST_SQ, FIRST_ID, SIZE);
    second = new NvmeSqJournal(memory.address() + SECOND_SQ, SECOND_ID, SIZE);
    cq.ring(memory.address() + CQ_RING);
    cq.attach(first);
    cq.attach(second);
  }

  private NvmeCqJournal.Recovery succeed() {
    makeObjects();
    return cq.recover();
  }

  private static long slotOffset(final int queueOffset, final int slot) {
    return queueOffset + 128 + 128L * slot;
  }

  private int fetch(final NvmeSqJournal queue, final int commandId) {
    Mem.putShort(memory.address() + ENTRY + 2, (short) commandId);
    final int slot = queue.fetch(memory.address() + ENTRY);
    queue.fetchCommit();
    return slot;
  }

  private int[] inflight(final NvmeSqJournal queue) {
    return Arrays.copyOf(slots, queue.inflightSlots(slots));
  }

  /** Dies before store number {@code count} of an action. */
  private void dieBefore(final int count, final Runnable action) {
    memory.set(memory.photographed(action).get(count));
  }

  private int commandIdAt(final int index) {
    return Mem.getUnsignedShort(memory.address() + CQ_RING + 16L * index + 12);
  }

  @Test
  void shouldBeNewUntilInitialisedForThisQueue() {
    assertFalse(first.isNew(CREATION));
    assertTrue(first.isNew(CREATION + 1));
    assertNull(first.validate(CREATION + 1));
    for (final byte[] left : memory.photographed(() -> first.initialise(CREATION + 1))) {
      memory.set(left);
      assertTrue(first.isNew(CREATION + 1));
    }
    for (final byte[] left : memory.photographed(() -> cq.initialise(CREATION + 1))) {
      memory.set(left);
      assertTrue(cq.isNew(CREATION + 1));
      assertNull(cq.validate(CREATION + 1));
    }
    first.initialise(CREATION + 1);
    assertFalse(first.isNew(CREATION + 1));
    assertNull(first.validate(CREATION + 1));
  }

  @Test
  void shouldRefuseForeignHeaderWithItsValues() {
    Mem.putInt(memory.address() + FIRST_SQ + 4, 128);
    assertTrue(first.validate(CREATION).contains("journal=128 queue=8"));
    Mem.putInt(memory.address() + 4, 4096);
    assertTrue(cq.validate(CREATION).contains("journal=4096 queue=6"));
    Mem.putInt(memory.address(), 2);
    assertTrue(cq.validate(CREATION).contains("version=2"));
  }

  @Test
  void shouldRefuseImpossibleArguments() {
    assertThrows(IllegalArgumentException.class, () -> new NvmeSqJournal(64, 1, 1));
    assertThrows(IllegalArgumentException.class, () -> new NvmeSqJournal(64, 1, 4097));
    assertThrows(IllegalArgumentException.class, () -> new NvmeSqJournal(96, 1, 8));
    assertThrows(IllegalArgumentException.class, () -> new NvmeCqJournal(64, 4097));
    assertThrows(IllegalArgumentException.class, () -> new NvmeCqJournal(65, 8));
  }

  @Test
  void shouldReportHeadOfCommittedFetchesOnly() {
    fetch(first, 1);
    Mem.putShort(memory.address() + ENTRY + 2, (short) 2);
    first.fetch(memory.address() + ENTRY);
    assertEquals(1, first.head());
    assertEquals(2, first.nextIndex());
    cq.post(first, inflight(first)[0], 0, 0);
    assertEquals(1, Mem.getUnsignedShort(memory.address() + CQ_RING + 8));
    first.fetchCommit();
    assertEquals(2, first.head());
  }

  @Test
  void shouldNotCompleteWhatIsNotInflight() {
    Mem.putShort(memory.address() + ENTRY + 2, (short) 2);
    final int slot = first.fetch(memory.address() + ENTRY);
    assertThrows(IllegalStateException.class, () -> cq.post(first, slot, 0, 0), "not committed");
    first.fetchCommit();
    cq.post(first, slot, 0, 0);
    assertFalse(first.isInflight(slot));
    assertThrows(IllegalStateException.class, () -> cq.post(first, slot, 0, 0), "twice");
    cq.postCommit();
    assertThrows(IllegalStateException.class, () -> cq.post(first, slot, 0, 0), "free");
    cq.detach(first);
    assertThrows(IllegalStateException.class, () -> cq.post(first, slot, 0, 0), "detached");
  }

  @Test
  void shouldNotFetchWithoutFreeSlot() {
    for (int i = 0; i < SIZE; i++) {
      assertEquals(SIZE - i, first.freeCount());
      fetch(first, i);
    }
    assertThrows(IllegalStateException.class, () -> first.fetch(memory.address() + ENTRY));
    assertEquals(SIZE, first.inflightCount());
    assertEquals(0, first.head());
  }

  @Test
  void shouldCountWhatTheDoorbellsLeave() {
    assertEquals(0, first.submittedCount(0));
    assertEquals(7, first.submittedCount(7));
    fetch(first, 1);
    fetch(first, 2);
    assertEquals(5, first.submittedCount(7));
    assertEquals(7, first.submittedCount(1));
    assertEquals(CQ_SIZE - 1, cq.room(0));
    cq.post(first, 0, 0, 0);
    cq.post(first, 1, 0, 0);
    assertEquals(CQ_SIZE - 3, cq.room(0));
    assertEquals(CQ_SIZE - 1, cq.room(2));
    assertTrue(cq.isEmpty(2));
    assertEquals(0, cq.room(3));
    assertEquals(0, cq.posted());
    cq.postCommit();
    assertEquals(2, cq.posted());
  }

  @Test
  void shouldNotPostMoreThanAQueueCanHold() {
    for (int i = 0; i < SIZE; i++) {
      fetch(first, i);
    }
    for (int slot = 0; slot < CQ_SIZE - 1; slot++) {
      cq.post(first, slot, 0, 0);
    }
    assertThrows(IllegalStateException.class, () -> cq.post(first, CQ_SIZE - 1, 0, 0));
  }

  @Test
  void shouldResubmitInOrderOfNumberNotOfSlot() {
    for (int i = 0; i < 5; i++) {
      fetch(first, i);
    }
    cq.post(first, 3, 0, 0);
    cq.post(first, 0, 0, 0);
    cq.postCommit();
    fetch(first, 10);
    fetch(first, 11);
    succeed();
    final int[] order = inflight(first);
    final int[] commandIds = Arrays.stream(order).map(first::commandId).toArray();
    assertArrayEquals(new int[] {1, 2, 4, 10, 11}, commandIds);
    for (int i = 1; i < order.length; i++) {
      assertTrue(first.fetchNumber(order[i - 1]) < first.fetchNumber(order[i]));
    }
    assertEquals(7, first.fetched());
    fetch(first, 12);
    assertEquals(7, first.fetchNumber(inflight(first)[5]));
  }

  /** A slot's next command must not inherit the intent of the one before: its index is posted. */
  @Test
  void shouldForgetTheIntentOfTheCommandBeforeInTheSlot() {
    final int slot = fetch(first, 1);
    cq.post(first, slot, 0, 0);
    cq.postCommit();
    assertEquals(slot, fetch(first, 2));
    assertEquals(0, succeed().inconsistencyCount());
    assertArrayEquals(new int[] {slot}, inflight(first));
  }

  @Test
  void shouldKeepIndicesGapFreeOverTwoQueues() {
    fetch(first, 0x11);
    fetch(second, 0x21);
    fetch(first, 0x12);
    // Stores of a post: result, intent, entry low, entry high. Dies behind the third intent.
    dieBefore(
        10,
        () -> {
          cq.post(second, 0, 0, 0);
          cq.post(first, 1, 0, 0);
          cq.post(first, 0, 5, 77);
        });
    final NvmeCqJournal.Recovery recovery = succeed();
    assertEquals(2, recovery.committedCount());
    assertEquals(1, recovery.publishedCount());
    assertEquals(0, recovery.inconsistencyCount());
    assertEquals(3, cq.posted());
    assertEquals(0x21, commandIdAt(0));
    assertEquals(0x12, commandIdAt(1));
    assertEquals(0x11, commandIdAt(2));
    assertEquals(77, Mem.getInt(memory.address() + CQ_RING + 32));
    assertEquals((5 << 1) | 1, Mem.getUnsignedShort(memory.address() + CQ_RING + 32 + 14));
    assertEquals(0, first.inflightCount() + second.inflightCount());
    assertEquals(0, succeed().committedCount());
  }

  @Test
  void shouldNotTakeAnEntryOfTheLapBeforeForPublished() {
    for (int i = 0; i < CQ_SIZE; i++) {
      cq.post(first, fetch(first, 7), 0, 0);
      cq.postCommit();
    }
    // The entry of the lap before has the same command id and queue, and the other phase tag.
    fetch(first, 7);
    dieBefore(2, () -> cq.post(first, 0, 0, 0));
    final NvmeCqJournal.Recovery recovery = succeed();
    assertEquals(0, recovery.committedCount());
    assertEquals(1, recovery.publishedCount());
    assertEquals(0, Mem.getUnsignedShort(memory.address() + CQ_RING + 14) & 1);
  }

  @Test
  void shouldLeaveAPublishedEntryAlone() {
    fetch(first, 7);
    dieBefore(4, () -> finish(cq, first));
    Mem.putInt(memory.address() + CQ_RING, 0x5A5A_5A5A);
    assertEquals(1, succeed().committedCount());
    assertEquals(0x5A5A_5A5A, Mem.getInt(memory.address() + CQ_RING));
  }

  private static void finish(final NvmeCqJournal queue, final NvmeSqJournal sq) {
    queue.post(sq, 0, 0, 1);
    queue.postCommit();
  }

  @Test
  void shouldPublishAgainWhereTheDriverWroteIntoItsQueue() {
    fetch(first, 7);
    dieBefore(4, () -> finish(cq, first));
    Mem.putShort(memory.address() + CQ_RING + 12, (short) 8);
    final NvmeCqJournal.Recovery recovery = succeed();
    assertEquals(1, recovery.publishedCount());
    assertEquals(1, recovery.inconsistencyCount());
    assertEquals(7, commandIdAt(0));
  }

  @Test
  void shouldResubmitWhatHasAnIndexThatNoCrashLeaves() {
    fetch(first, 1);
    fetch(first, 2);
    fetch(second, 3);
    final long intent = 1L << 63;
    // One index taken by two, one behind a gap, and none of them published.
    Mem.putLong(memory.address() + slotOffset(FIRST_SQ, 0) + 72, intent);
    Mem.putLong(memory.address() + slotOffset(SECOND_SQ, 0) + 72, intent);
    Mem.putLong(memory.address() + slotOffset(FIRST_SQ, 1) + 72, intent | 2);
    final NvmeCqJournal.Recovery recovery = succeed();
    assertEquals(1, recovery.publishedCount());
    assertEquals(2, recovery.inconsistencyCount());
    assertEquals(1, cq.posted());
    assertArrayEquals(new int[] {1}, inflight(first));
    assertArrayEquals(new int[] {0}, inflight(second));
    assertEquals(0, succeed().inconsistencyCount());
  }

  @Test
  void shouldDropBitsThatBelongToNoCommand() {
    fetch(first, 1);
    // A slot with a number far ahead, one that was never committed but is decided, and no slot.
    Mem.putLong(memory.address() + slotOffset(FIRST_SQ, 2) + 64, 1 + SIZE);
    Mem.putLong(memory.address() + slotOffset(FIRST_SQ, 3) + 64, 1);
    Mem.putLong(memory.address() + slotOffset(FIRST_SQ, 3) + 72, 1L << 63);
    Mem.putLong(memory.address() + FIRST_SQ + 64, 1 | 4 | 8 | (1L << SIZE) | (1L << 63));
    assertEquals(4, succeed().inconsistencyCount());
    assertArrayEquals(new int[] {0}, inflight(first));
    assertEquals(1, Mem.getLong(memory.address() + FIRST_SQ + 64));
    assertEquals(0, succeed().inconsistencyCount());
  }

  @Test
  void shouldNotBelieveTheRegionWhileRunning() {
    fetch(first, 1);
    fetch(first, 2);
    Mem.fill(memory.address(), CQ_RING, (byte) 0xEE);
    assertEquals(2, first.inflightCount());
    memory.photographed(
        () -> {
          cq.post(first, 1, 0, 0);
          cq.post(first, 0, 0, 0);
          cq.postCommit();
        });
    assertEquals(0, first.inflightCount());
    assertEquals(2, cq.posted());
  }

  /** Batches whose slots lie in many words of the bitmap; each word is stored, and only once. */
  @Property(tries = 200)
  void shouldStoreEveryWordOfTheBitmapThatABatchTouches(@ForAll final long seed) {
    final int size = 300;
    final Random random = new Random(seed);
    final int ringOffset = 64 + (int) NvmeSqJournal.regionLength(size);
    try (TestMemory large = new TestMemory(ringOffset + 16 * size + 64)) {
      final int[] largeSlots = new int[size];
      final BitSet expected = new BitSet();
      final NvmeSqJournal sq = new NvmeSqJournal(large.address() + 64, 1, size);
      final NvmeCqJournal queue = new NvmeCqJournal(large.address(), size);
      queue.initialise(1);
      sq.initialise(1);
      queue.ring(large.address() + ringOffset);
      queue.attach(sq);
      for (int round = 0; round < 12; round++) {
        for (int i = random.nextInt(sq.freeCount() + 1); i > 0; i--) {
          expected.set(sq.fetch(large.address() + ringOffset + 16 * size));
        }
        sq.fetchCommit();
        assertArrayEquals(expected.toLongArray(), bitmap(large, size));
        final int count = sq.inflightSlots(largeSlots);
        for (int i = 0; i < count; i++) {
          if (random.nextInt(3) == 0) {
            queue.post(sq, largeSlots[i], 0, 0);
            expected.clear(largeSlots[i]);
          }
        }
        queue.postCommit();
        assertArrayEquals(expected.toLongArray(), bitmap(large, size));
      }
    }
  }

  private static long[] bitmap(final TestMemory region, final int size) {
    final long[] words = new long[(size + 63) / 64];
    for (int i = 0; i < words.length; i++) {
      words[i] = Mem.getLong(region.address() + 64 + 64 + 8L * i);
    }
    return BitSet.valueOf(words).toLongArray();
  }

  @Property
  void shouldStayInsideWhateverJournalAndRingHold(@ForAll final long seed) {
    final Random random = new Random(seed);
    memory.set(garbage(random));
    final byte[] before = memory.bytes();
    final NvmeCqJournal.Recovery[] recovery = new NvmeCqJournal.Recovery[1];
    memory.photographed(() -> recovery[0] = succeed());
    checkSlots(first);
    checkSlots(second);
    assertArrayEquals(
        Arrays.copyOfRange(before, ENTRY - 32, before.length),
        Arrays.copyOfRange(memory.bytes(), ENTRY - 32, before.length),
        "stored behind the ring");
    final int[] firstSlots = inflight(first);
    final int[] secondSlots = inflight(second);
    final long posted = cq.posted();
    final NvmeCqJournal.Recovery again = succeed();
    assertEquals(0, again.inconsistencyCount());
    assertEquals(0, again.committedCount() + again.publishedCount());
    assertArrayEquals(firstSlots, inflight(first));
    assertArrayEquals(secondSlots, inflight(second));
    assertEquals(posted, cq.posted());
    memory.photographed(() -> completeAll(firstSlots, secondSlots));
    assertEquals(0, succeed().inconsistencyCount());
    assertEquals(0, first.inflightCount() + second.inflightCount());
  }

  private void completeAll(final int[] firstSlots, final int[] secondSlots) {
    for (final int slot : firstSlots) {
      cq.post(first, slot, 0, 0);
      cq.postCommit();
    }
    for (final int slot : secondSlots) {
      cq.post(second, slot, 0, 0);
      cq.postCommit();
    }
  }

  private void checkSlots(final NvmeSqJournal queue) {
    final Set<Integer> distinct = new HashSet<>();
    for (final int slot : inflight(queue)) {
      assertTrue(slot >= 0 && slot < SIZE && distinct.add(slot));
    }
    assertEquals(distinct.size(), queue.inflightCount());
    assertTrue(queue.head() >= 0 && queue.head() < SIZE);
    assertTrue(cq.tail() >= 0 && cq.tail() < CQ_SIZE);
  }

  /** Random bytes, in which numbers, indices and entries are often nearly right. */
  private byte[] garbage(final Random random) {
    final byte[] bytes = new byte[memory.lengthBytes()];
    random.nextBytes(bytes);
    memory.set(bytes);
    final long posted = random.nextBoolean() ? random.nextInt(9) : random.nextLong();
    final int phase = 1 - (int) (Long.divideUnsigned(posted, CQ_SIZE) & 1);
    Mem.putLong(memory.address() + 16, posted);
    for (final int queue : new int[] {FIRST_SQ, SECOND_SQ}) {
      final long fetched = random.nextBoolean() ? random.nextInt(12) : random.nextLong();
      Mem.putLong(memory.address() + queue + 16, fetched);
      for (int slot = 0; slot < SIZE; slot++) {
        final long address = memory.address() + slotOffset(queue, slot);
        if (random.nextInt(4) != 0) {
          Mem.putLong(address + 64, fetched + random.nextInt(20) - 10);
        }
        if (random.nextInt(4) != 0) {
          final long index = posted + random.nextInt(14) - 7;
          Mem.putLong(
              address + 72, random.nextBoolean() ? 0 : (1L << 63) | (index & 0xFFFF_FFFF_FFFFL));
          if (random.nextBoolean()) {
            final long entry =
                memory.address() + CQ_RING + 16 * Long.remainderUnsigned(index, CQ_SIZE);
            Mem.putShort(entry + 10, (short) (queue == FIRST_SQ ? FIRST_ID : SECOND_ID));
            Mem.putShort(entry + 12, Mem.getShort(address + 2));
            Mem.putShort(entry + 14, (short) phase);
          }
        }
      }
    }
    return memory.bytes();
  }
}

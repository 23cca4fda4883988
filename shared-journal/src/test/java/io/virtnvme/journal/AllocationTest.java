package io.virtnvme.journal;

import static org.junit.jupiter.api.Assertions.assertEquals;

import com.sun.management.ThreadMXBean;
import io.virtnvme.ipc.memory.Mem;
import java.lang.management.ManagementFactory;
import org.junit.jupiter.api.Test;

/** Neither the data path nor a takeover allocates. */
class AllocationTest {
  private static final int QUEUE_SIZE = 64;
  private static final int ROUNDS = 5;
  private static final int CYCLES = 500;

  private final ThreadMXBean threads = (ThreadMXBean) ManagementFactory.getThreadMXBean();
  private final int[] heads = new int[QUEUE_SIZE];
  private int usedIndex;

  /**
   * The smallest of some rounds: what the JVM allocates once for its own ends does not come back.
   */
  private void assertAllocatesNothing(final Runnable cycle) {
    long allocatedMin = Long.MAX_VALUE;
    for (int round = 0; round < ROUNDS; round++) {
      final long before = threads.getCurrentThreadAllocatedBytes();
      for (int i = 0; i < CYCLES; i++) {
        cycle.run();
      }
      allocatedMin = Math.min(allocatedMin, threads.getCurrentThreadAllocatedBytes() - before);
    }
    assertEquals(0, allocatedMin);
  }

  @Test
  void shouldAllocateNothingOnSplitQueue() {
    try (TestMemory memory = new TestMemory((int) SplitInflight.regionLength(QUEUE_SIZE))) {
      final SplitInflight journal = new SplitInflight(memory.address(), QUEUE_SIZE);
      journal.initialise(0, 0);
      assertAllocatesNothing(
          () -> {
            for (int head = QUEUE_SIZE - 1; head >= 0; head--) {
              journal.onFetch(head);
            }
            journal.batchBegin();
            for (int head = 0; head < QUEUE_SIZE; head += 2) {
              journal.batchAdd(head);
            }
            journal.batchCommitHeads();
            usedIndex += QUEUE_SIZE / 2;
            // Died here: the batch is published, the flags are not cleared.
            final int count = journal.recover(usedIndex, heads);
            journal.batchBegin();
            for (int i = 0; i < count; i++) {
              journal.batchAdd(heads[i]);
            }
            journal.batchCommitHeads();
            usedIndex += count;
            journal.batchEnd(usedIndex);
            if (journal.validate() != null || journal.isNew()) {
              throw new IllegalStateException("region broken");
            }
          });
    }
  }

  @Test
  void shouldAllocateNothingOnPackedQueue() {
    final int regionLength = (int) PackedInflight.regionLength(QUEUE_SIZE);
    try (TestMemory memory = new TestMemory(regionLength + 16 * QUEUE_SIZE)) {
      final PackedInflight journal = new PackedInflight(memory.address(), QUEUE_SIZE);
      final long ring = memory.address() + regionLength;
      journal.initialise(0, 0, true);
      assertAllocatesNothing(
          () -> {
            for (int i = 0; i < QUEUE_SIZE / 2; i++) {
              journal.fetchBegin();
              journal.fetchDescriptor(0x1000, 512, i, 1);
              journal.fetchDescriptor(0x2000, 512, i, 0);
              heads[i] = journal.fetchCommit();
            }
            journal.batchBegin();
            final int slot = journal.batchAdd(heads[5]);
            journal.batchAdd(heads[3]);
            journal.batchCommitHeads();
            final int wrap = slot >>> PackedInflight.SLOT_WRAP_SHIFT;
            Mem.putShort(ring + 16L * (slot & 0x7FFF) + 14, (short) (wrap != 0 ? 0x8080 : 0));
            // Died here: the batch is published, the flags are not cleared.
            final int count = journal.recover(ring, heads);
            journal.batchBegin();
            for (int i = 0; i < count; i++) {
              journal.batchAdd(heads[i]);
            }
            journal.batchCommitHeads();
            journal.batchEnd();
            if (journal.validate() != null || journal.isNew()) {
              throw new IllegalStateException("region broken");
            }
          });
    }
  }

  @Test
  void shouldAllocateNothingOnNvmeQueues() {
    final int sqLength = (int) NvmeSqJournal.regionLength(QUEUE_SIZE);
    final int ringOffset = 64 + sqLength;
    try (TestMemory memory = new TestMemory(ringOffset + 16 * QUEUE_SIZE + 64)) {
      final NvmeCqJournal cq = new NvmeCqJournal(memory.address(), QUEUE_SIZE);
      final NvmeSqJournal sq = new NvmeSqJournal(memory.address() + 64, 1, QUEUE_SIZE);
      final long entry = memory.address() + ringOffset + 16 * QUEUE_SIZE;
      cq.initialise(1);
      sq.initialise(1);
      cq.ring(memory.address() + ringOffset);
      cq.attach(sq);
      assertAllocatesNothing(
          () -> {
            for (int i = 0; i < QUEUE_SIZE / 2; i++) {
              heads[i] = sq.fetch(entry);
            }
            sq.fetchCommit();
            for (int i = 0; i < QUEUE_SIZE / 4; i++) {
              cq.post(sq, heads[i], 0, i);
            }
            // Died here: entries are published, and not counted.
            cq.recover();
            final int count = sq.inflightSlots(heads);
            for (int i = 0; i < count; i++) {
              cq.post(sq, heads[i], 0, i);
            }
            cq.postCommit();
            if (cq.validate(1) != null || sq.validate(1) != null || sq.isNew(1)) {
              throw new IllegalStateException("region broken");
            }
          });
    }
  }
}

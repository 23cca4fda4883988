package io.virtnvme.slave.benchmark;

import io.virtnvme.ipc.memory.Mem;
import io.virtnvme.journal.PackedInflight;
import org.openjdk.jmh.annotations.Benchmark;
import org.openjdk.jmh.annotations.OperationsPerInvocation;
import org.openjdk.jmh.annotations.Param;
import org.openjdk.jmh.annotations.Setup;
import org.openjdk.jmh.annotations.TearDown;

/**
 * What the inflight region of a packed ring does for one request, from its fetch to its completion,
 * and nothing of the ring but the loads of the descriptors that are copied. 32 more requests are in
 * flight. The region holds the only copy of a request's descriptors, so it cannot be switched off.
 */
public class PackedJournalBenchmark extends DataPathBenchmark {
  private static final int OPERATIONS = 32;
  private static final int DESCRIPTOR_LENGTH = 16;
  private static final int IN_FLIGHT_MAX = 2 * OPERATIONS;

  /** Requests fetched, and published, at once. */
  @Param({"1", "32"})
  public int batch;

  /** Descriptors of a request in the ring: one with an indirect table, three without. */
  @Param({"1", "3"})
  public int descriptors;

  private final int[] entries = new int[IN_FLIGHT_MAX];
  private SharedMemory memory;
  private long ring;
  private PackedInflight journal;
  private int ringIndex;
  private int fetchedPosition;
  private int completedPosition;

  /** Leaves requests in flight. */
  @Setup
  public void open() {
    final long regionLength = PackedInflight.regionLength(QUEUE_SIZE);
    memory = new SharedMemory(regionLength + QUEUE_SIZE * DESCRIPTOR_LENGTH);
    ring = memory.address() + regionLength;
    journal = new PackedInflight(memory.address(), QUEUE_SIZE);
    journal.initialise(0, 0, true);
    for (int i = 0; i < OPERATIONS; i++) {
      fetch();
    }
  }

  /** Lets go of the memory. */
  @TearDown
  public void close() {
    memory.close();
  }

  /** The journal as it is. */
  @Benchmark
  @OperationsPerInvocation(OPERATIONS)
  public int journalOn() {
    int slots = 0;
    for (int count = 0; count < OPERATIONS; count += batch) {
      for (int i = 0; i < batch; i++) {
        fetch();
      }
      journal.batchBegin();
      for (int i = 0; i < batch; i++) {
        slots += journal.batchAdd(entries[completedPosition]);
        completedPosition = completedPosition + 1 & IN_FLIGHT_MAX - 1;
      }
      journal.batchCommitHeads();
      journal.batchEnd();
    }
    return slots;
  }

  private void fetch() {
    journal.fetchBegin();
    for (int i = 0; i < descriptors; i++) {
      final long descriptor = ring + (long) ringIndex * DESCRIPTOR_LENGTH;
      final long word = Mem.getLong(descriptor + Long.BYTES);
      journal.fetchDescriptor(
          Mem.getLong(descriptor),
          (int) word,
          (int) (word >>> Integer.SIZE) & 0xFFFF,
          (int) (word >>> (Integer.SIZE + Short.SIZE)));
      ringIndex = ringIndex + 1 & QUEUE_SIZE - 1;
    }
    entries[fetchedPosition] = journal.fetchCommit();
    fetchedPosition = fetchedPosition + 1 & IN_FLIGHT_MAX - 1;
  }
}

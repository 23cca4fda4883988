package io.virtnvme.slave.benchmark;

import io.virtnvme.journal.SplitInflight;
import org.openjdk.jmh.annotations.Benchmark;
import org.openjdk.jmh.annotations.Fork;
import org.openjdk.jmh.annotations.OperationsPerInvocation;
import org.openjdk.jmh.annotations.Param;
import org.openjdk.jmh.annotations.Setup;
import org.openjdk.jmh.annotations.TearDown;

/**
 * What the inflight region of a split ring does for one request, from its fetch to its completion,
 * and nothing of the ring. 32 more requests are in flight.
 */
public class SplitJournalBenchmark extends DataPathBenchmark {
  private static final int OPERATIONS = 32;

  /** Requests fetched, and published, at once. */
  @Param({"1", "32"})
  public int batch;

  private final RequestNumbers fetchedHeads = new RequestNumbers(QUEUE_SIZE);
  private final RequestNumbers completedHeads = new RequestNumbers(QUEUE_SIZE);
  private SharedMemory memory;
  private SplitInflight journal;
  private int usedIndex;

  /** Leaves requests in flight. */
  @Setup
  public void open() {
    memory = new SharedMemory(SplitInflight.regionLength(QUEUE_SIZE));
    journal = new SplitInflight(memory.address(), QUEUE_SIZE);
    journal.initialise(0, 0);
    for (int i = 0; i < OPERATIONS; i++) {
      journal.onFetch(fetchedHeads.next());
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
    return fetchAndComplete();
  }

  /** The loop alone. */
  @Benchmark
  @OperationsPerInvocation(OPERATIONS)
  @Fork(jvmArgsAppend = JOURNAL_OFF)
  public int journalOff() {
    return fetchAndComplete();
  }

  private int fetchAndComplete() {
    for (int count = 0; count < OPERATIONS; count += batch) {
      for (int i = 0; i < batch; i++) {
        journal.onFetch(fetchedHeads.next());
      }
      journal.batchBegin();
      for (int i = 0; i < batch; i++) {
        journal.batchAdd(completedHeads.next());
      }
      journal.batchCommitHeads();
      usedIndex += batch;
      journal.batchEnd(usedIndex);
    }
    return journal.inflightCount();
  }
}

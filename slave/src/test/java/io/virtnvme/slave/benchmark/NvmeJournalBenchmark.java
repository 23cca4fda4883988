package io.virtnvme.slave.benchmark;

import io.virtnvme.ipc.nvme.CompletionEntry;
import io.virtnvme.ipc.nvme.SubmissionEntry;
import io.virtnvme.journal.NvmeCqJournal;
import io.virtnvme.journal.NvmeSqJournal;
import org.openjdk.jmh.annotations.Benchmark;
import org.openjdk.jmh.annotations.Fork;
import org.openjdk.jmh.annotations.OperationsPerInvocation;
import org.openjdk.jmh.annotations.Param;
import org.openjdk.jmh.annotations.Setup;
import org.openjdk.jmh.annotations.TearDown;

/**
 * What the journals of an NVMe queue pair do for one command, from its fetch to its completion. 32
 * more commands are in flight. Two things are needed without a journal too, and are in both
 * figures: the copy of the command, and its entry in the guest's completion queue. So the journal
 * is the difference.
 */
public class NvmeJournalBenchmark extends DataPathBenchmark {
  private static final int OPERATIONS = 32;
  private static final int QUEUE_ID = 1;
  private static final int CREATION = 1;
  private static final int IN_FLIGHT_MAX = 2 * OPERATIONS;

  /** Commands fetched, and posted, at once. */
  @Param({"1", "32"})
  public int batch;

  private final int[] slots = new int[IN_FLIGHT_MAX];
  private SharedMemory memory;
  private long submissions;
  private NvmeSqJournal sqJournal;
  private NvmeCqJournal cqJournal;
  private int fetchedPosition;
  private int completedPosition;

  /** Leaves commands in flight. */
  @Setup
  public void open() {
    final long sqLength = NvmeSqJournal.regionLength(QUEUE_SIZE);
    final long cqLength = NvmeCqJournal.regionLength();
    final long submissionsLength = (long) QUEUE_SIZE * SubmissionEntry.ENTRY_LENGTH;
    memory =
        new SharedMemory(
            sqLength
                + cqLength
                + submissionsLength
                + (long) QUEUE_SIZE * CompletionEntry.ENTRY_LENGTH);
    submissions = memory.address() + sqLength + cqLength;
    sqJournal = new NvmeSqJournal(memory.address(), QUEUE_ID, QUEUE_SIZE);
    cqJournal = new NvmeCqJournal(memory.address() + sqLength, QUEUE_SIZE);
    sqJournal.initialise(CREATION);
    cqJournal.initialise(CREATION);
    cqJournal.ring(submissions + submissionsLength);
    cqJournal.attach(sqJournal);
    fetch(OPERATIONS);
  }

  /** Lets go of the memory. */
  @TearDown
  public void close() {
    memory.close();
  }

  /** The journal as it is. */
  @Benchmark
  @OperationsPerInvocation(OPERATIONS)
  public long journalOn() {
    return fetchAndComplete();
  }

  /** Copies and completion entries alone. */
  @Benchmark
  @OperationsPerInvocation(OPERATIONS)
  @Fork(jvmArgsAppend = JOURNAL_OFF)
  public long journalOff() {
    return fetchAndComplete();
  }

  private long fetchAndComplete() {
    for (int count = 0; count < OPERATIONS; count += batch) {
      fetch(batch);
      for (int i = 0; i < batch; i++) {
        cqJournal.post(sqJournal, slots[completedPosition], 0, 0);
        completedPosition = completedPosition + 1 & IN_FLIGHT_MAX - 1;
      }
      cqJournal.postCommit();
    }
    return cqJournal.posted();
  }

  private void fetch(final int count) {
    for (int i = 0; i < count; i++) {
      slots[fetchedPosition] =
          sqJournal.fetch(
              submissions + (long) sqJournal.nextIndex() * SubmissionEntry.ENTRY_LENGTH);
      fetchedPosition = fetchedPosition + 1 & IN_FLIGHT_MAX - 1;
    }
    sqJournal.fetchCommit();
  }
}

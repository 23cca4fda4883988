package io.virtnvme.slave.nvme;

import io.virtnvme.ipc.memory.Mem;
import io.virtnvme.ipc.nvme.Doorbells;
import io.virtnvme.ipc.nvme.SubmissionEntry;
import io.virtnvme.journal.NvmeSqJournal;
import io.virtnvme.slave.blk.BlkCounters;

/**
 * A submission queue: where commands are fetched from, and the task of each of its journal's slots.
 * One reactor thread; the data path's calls do not allocate.
 */
final class SubmissionRing {
  /** Commands fetched with one commit, at most. */
  static final int FETCH_MAX = 32;

  private static final int NONE = -1;

  private final SubmissionQueue queue;
  private final NvmeSqJournal journal;
  private final NvmeCommandTask[] tasks;
  private final BlkCounters counters;
  private final long doorbell;
  private final QueueReports reports;
  private final int[] fetched = new int[FETCH_MAX];
  private long ringAddress;
  private long tailAddress;
  private long eventIndexAddress;
  private int faultyTail = NONE;

  /** Position among the rings of its agent; part of the tags of its I/O. */
  final int index;

  /** Commands fetched and not ended. */
  int executingCount;

  /** Runs when nothing of it is in flight; while set, nothing is fetched. */
  Runnable whenStopped;

  /** An error was reported and is not in the log yet. Cleared on the control thread. */
  volatile boolean isReporting;

  SubmissionRing(final SubmissionQueue queue, final QueueContext context, final int index) {
    this.queue = queue;
    this.index = index;
    this.journal =
        new NvmeSqJournal(
            context.area().sqJournalAddress(queue.queueId()), queue.queueId(), queue.entryCount());
    this.tasks = new NvmeCommandTask[queue.entryCount()];
    for (int slot = 0; slot < tasks.length; slot++) {
      tasks[slot] = new NvmeCommandTask(this, slot);
    }
    this.counters = new BlkCounters(context.countersAddress(queue.queueId()));
    this.doorbell = context.doorbellsAddress() + Doorbells.sqTailOffset(queue.queueId());
    this.tailAddress = doorbell;
    this.reports = context.reports();
  }

  SubmissionQueue queue() {
    return queue;
  }

  NvmeSqJournal journal() {
    return journal;
  }

  BlkCounters counters() {
    return counters;
  }

  NvmeCommandTask task(final int slot) {
    return tasks[slot];
  }

  int taskCount() {
    return tasks.length;
  }

  /** Finds its entries in guest memory; they may be nowhere. */
  void memory(final DmaMemory memory) {
    ringAddress =
        memory
            .readable()
            .translate(
                queue.guestAddress(), (long) queue.entryCount() * SubmissionEntry.ENTRY_LENGTH);
  }

  boolean isMapped() {
    return ringAddress != 0;
  }

  /** Where the tail is read from: host addresses, 0 for the doorbell page and no event index. */
  void shadow(final long shadowTailAddress, final long newEventIndexAddress) {
    tailAddress = shadowTailAddress == 0 ? doorbell : shadowTailAddress;
    eventIndexAddress = newEventIndexAddress;
  }

  /**
   * Initialises a new journal, or checks an old one. The doorbell of a new queue is cleared first:
   * what an earlier queue left there must not count, and a death in between does it again.
   *
   * @return null, or why it cannot be used
   */
  String open() {
    if (journal.isNew(queue.creation())) {
      Mem.putIntRelease(doorbell, 0);
      journal.initialise(queue.creation());
      return null;
    }
    return journal.validate(queue.creation());
  }

  /** How many commands wait, by the doorbell, which is read once and must be an entry's index. */
  private int submittedCount() {
    final int tail = Mem.getIntAcquire(tailAddress) & Doorbells.VALUE_MASK;
    if (tail == journal.nextIndex()) {
      return 0;
    }
    if (tail >= queue.entryCount()) {
      if (tail != faultyTail) {
        faultyTail = tail;
        counters.onGuestFault();
        reports.onDoorbellFault(DoorbellFault.INVALID_VALUE);
      }
      return 0;
    }
    faultyTail = NONE;
    return journal.submittedCount(tail);
  }

  /** How many commands {@link #fetch} would find. */
  int fetchableCount() {
    if (!isMapped() || whenStopped != null) {
      return 0;
    }
    final int submitted = submittedCount();
    return submitted == 0 ? 0 : Math.min(submitted, journal.freeCount());
  }

  /**
   * The namespace that the next command is for, as the guest has it there now: it may be another
   * one when the command is fetched.
   */
  int nextNamespaceId() {
    return Mem.getInt(
        ringAddress
            + (long) journal.nextIndex() * SubmissionEntry.ENTRY_LENGTH
            + SubmissionEntry.NAMESPACE_ID_OFFSET);
  }

  /**
   * Copies commands into the journal and commits them; the slots are at {@link #fetched} until the
   * next call.
   *
   * @param count 1 to {@link #FETCH_MAX}, and no more than {@link #fetchableCount} has said
   */
  void fetch(final int count) {
    for (int i = 0; i < count; i++) {
      fetched[i] =
          journal.fetch(ringAddress + (long) journal.nextIndex() * SubmissionEntry.ENTRY_LENGTH);
    }
    journal.fetchCommit();
  }

  NvmeCommandTask fetched(final int position) {
    return tasks[fetched[position]];
  }

  /** The task of a command that is inflight, or null. Looks at every slot. */
  NvmeCommandTask find(final long fetchNumber) {
    for (final NvmeCommandTask task : tasks) {
      if (journal.isInflight(task.slot) && journal.fetchNumber(task.slot) == fetchNumber) {
        return task;
      }
    }
    return null;
  }

  /** Asks for a message with the next command. */
  void armTail() {
    if (eventIndexAddress != 0) {
      Mem.putIntRelease(eventIndexAddress, journal.nextIndex());
    }
  }
}

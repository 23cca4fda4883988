package io.virtnvme.slave.nvme;

import io.virtnvme.ipc.memory.Mem;
import io.virtnvme.ipc.nvme.CompletionEntry;
import io.virtnvme.ipc.nvme.Doorbells;
import io.virtnvme.journal.NvmeCqJournal;
import io.virtnvme.slave.virtqueue.CallLine;

/**
 * A completion queue: commands of all its submission queues that ended wait here, in the order of
 * their ends, until the driver has room for them. One reactor thread; the data path's calls do not
 * allocate.
 */
final class CompletionRing {
  /** Completions counted with one store, at most. */
  private static final int BATCH_MAX = 32;

  private static final int NONE = -1;

  private final CompletionQueue queue;
  private final NvmeCqJournal journal;
  private final CallLine call;
  private final long doorbell;
  private final QueueReports reports;
  private NvmeCommandTask[] done = new NvmeCommandTask[0];
  private int doneFirst;
  private int doneCount;
  private long ringAddress;
  private long headAddress;
  private long eventIndexAddress;
  private int head;
  private int faultyHead = NONE;
  private boolean callDue;

  CompletionRing(final CompletionQueue queue, final QueueContext context, final int callFd) {
    this.queue = queue;
    this.journal =
        new NvmeCqJournal(context.area().cqJournalAddress(queue.queueId()), queue.entryCount());
    this.call = new CallLine(callFd);
    this.doorbell = context.doorbellsAddress() + Doorbells.cqHeadOffset(queue.queueId());
    this.headAddress = doorbell;
    this.reports = context.reports();
  }

  CompletionQueue queue() {
    return queue;
  }

  NvmeCqJournal journal() {
    return journal;
  }

  CallLine call() {
    return call;
  }

  /** Makes room for so many commands. Allocates. */
  void ensureCapacity(final int commandCount) {
    if (commandCount > done.length) {
      final NvmeCommandTask[] longer = new NvmeCommandTask[commandCount];
      for (int i = 0; i < doneCount; i++) {
        longer[i] = done[wrapped(doneFirst + i)];
      }
      done = longer;
      doneFirst = 0;
    }
  }

  private int wrapped(final int index) {
    return index >= done.length ? index - done.length : index;
  }

  /** Finds its entries in guest memory; they may be nowhere. */
  void memory(final DmaMemory memory) {
    ringAddress =
        memory
            .writable()
            .translate(
                queue.guestAddress(), (long) queue.entryCount() * CompletionEntry.ENTRY_LENGTH);
    if (ringAddress != 0) {
      journal.ring(ringAddress);
    }
  }

  boolean isMapped() {
    return ringAddress != 0;
  }

  /** Where the head is read from: host addresses, 0 for the doorbell page and no event index. */
  void shadow(final long shadowHeadAddress, final long newEventIndexAddress) {
    headAddress = shadowHeadAddress == 0 ? doorbell : shadowHeadAddress;
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

  /** After a recovery: a head that cannot be means that the queue is full until it changes. */
  void findHead() {
    final int value = Mem.getInt(headAddress) & Doorbells.VALUE_MASK;
    final int tail = journal.tail();
    head = value < queue.entryCount() ? value : tail + 1 == queue.entryCount() ? 0 : tail + 1;
    faultyHead = value < queue.entryCount() ? NONE : value;
  }

  /** The doorbell, read once; one that passes the tail does not count. */
  private int readHead() {
    final int value = Mem.getInt(headAddress) & Doorbells.VALUE_MASK;
    if (value == head || value == faultyHead) {
      return head;
    }
    if (value >= queue.entryCount() || distance(head, value) > distance(head, journal.tail())) {
      faultyHead = value;
      reports.onDoorbellFault(DoorbellFault.INVALID_VALUE);
      return head;
    }
    faultyHead = NONE;
    head = value;
    return value;
  }

  private int distance(final int from, final int to) {
    final int distance = to - from;
    return distance < 0 ? distance + queue.entryCount() : distance;
  }

  void addDone(final NvmeCommandTask task) {
    done[wrapped(doneFirst + doneCount)] = task;
    doneCount++;
  }

  int doneCount() {
    return doneCount;
  }

  void clearDone() {
    doneFirst = 0;
    doneCount = 0;
  }

  /** Forgets commands of a submission queue that goes away: there was no room for them. */
  void dropDone(final SubmissionRing ring) {
    final int count = doneCount;
    for (int i = 0; i < count; i++) {
      final NvmeCommandTask task = done[doneFirst];
      doneFirst = wrapped(doneFirst + 1);
      doneCount--;
      if (task.ring != ring) {
        addDone(task);
      }
    }
  }

  /** How many of the commands that wait could be posted now. */
  int postableCount() {
    return doneCount == 0 || !isMapped() ? 0 : Math.min(doneCount, journal.room(readHead()));
  }

  /**
   * Posts what ended, as far as there is room.
   *
   * @return how many
   */
  int post() {
    final int count = postableCount();
    int left = count;
    while (left > 0) {
      final int batch = Math.min(left, BATCH_MAX);
      postBatch(batch);
      left -= batch;
    }
    callDue |= count > 0;
    return count;
  }

  private void postBatch(final int count) {
    for (int i = 0; i < count; i++) {
      final NvmeCommandTask task = done[wrapped(doneFirst + i)];
      journal.post(task.ring.journal(), task.slot, task.status, task.result);
    }
    journal.postCommit();
    for (int i = 0; i < count; i++) {
      final NvmeCommandTask task = done[doneFirst];
      doneFirst = wrapped(doneFirst + 1);
      doneCount--;
      task.state = NvmeCommandTask.State.FREE;
      if (task.whenPosted != null) {
        reports.execute(task.whenPosted);
        task.whenPosted = null;
      }
    }
  }

  /** Interrupts the driver for what was posted since the last time; true when it was. */
  boolean interrupt() {
    final boolean due = callDue;
    callDue = false;
    return call.signal(due);
  }

  /** Asks for a message when the driver takes completions, in case some wait for room. */
  void armHead() {
    if (eventIndexAddress != 0 && doneCount > 0) {
      Mem.putIntRelease(eventIndexAddress, head);
    }
  }

  void free() {
    call.free();
  }
}

package io.virtnvme.ipc.nvme.client;

import io.virtnvme.ipc.memory.Mem;
import io.virtnvme.ipc.nvme.CompletionEntry;
import io.virtnvme.ipc.nvme.SubmissionEntry;

/**
 * A submission queue and its completion queue, as rings of entries in guest memory. One thread;
 * nothing allocates after the constructor.
 */
final class QueuePair {
  private final DoorbellPort doorbells;
  private final int queueId;
  private final int entryCount;
  private final long submissions;
  private final long completions;
  private int tail;
  private int rungTail;
  private int head;
  private int rungHead;
  private boolean phase = true;

  /**
   * An empty pair; its memory is zero.
   *
   * @param submissions host address of the submission queue
   * @param completions host address of the completion queue
   */
  QueuePair(
      final DoorbellPort doorbells,
      final int queueId,
      final int entryCount,
      final long submissions,
      final long completions) {
    this.doorbells = doorbells;
    this.queueId = queueId;
    this.entryCount = entryCount;
    this.submissions = submissions;
    this.completions = completions;
  }

  int entryCount() {
    return entryCount;
  }

  /** Address of the next free entry, zeroed; {@link #push} puts it in. */
  long next() {
    final long entry = submissions + (long) tail * SubmissionEntry.ENTRY_LENGTH;
    Mem.fill(entry, SubmissionEntry.ENTRY_LENGTH, (byte) 0);
    return entry;
  }

  void push() {
    tail = tail + 1 == entryCount ? 0 : tail + 1;
  }

  /** Lets the controller see what was pushed. */
  void ring() {
    if (rungTail != tail) {
      rungTail = tail;
      doorbells.ringTail(queueId, tail);
    }
  }

  /** Address of the next completion, or 0 when there is none. */
  long peek() {
    final long entry = completions + (long) head * CompletionEntry.ENTRY_LENGTH;
    final int dword3 = Mem.getIntAcquire(entry + CompletionEntry.DWORD3_OFFSET);
    return CompletionEntry.phase(dword3) == phase ? entry : 0;
  }

  /** The completion was read. */
  void pop() {
    head++;
    if (head == entryCount) {
      head = 0;
      phase = !phase;
    }
  }

  /** Gives the entries of read completions back, if there are as many as that. */
  void release(final int countMin) {
    final int count = head >= rungHead ? head - rungHead : head + entryCount - rungHead;
    if (count >= countMin && count > 0) {
      rungHead = head;
      doorbells.ringHead(queueId, head);
    }
  }
}

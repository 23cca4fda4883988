package io.virtnvme.ipc.nvme.soft;

import io.virtnvme.ipc.memory.Mem;
import io.virtnvme.ipc.nvme.CompletionEntry;
import io.virtnvme.ipc.nvme.SubmissionEntry;

/**
 * Submission and completion queues as the controller sees them. Queue ids are places; a place
 * without a queue is empty. The device's thread.
 */
final class SoftQueues {
  private static final class Queue {
    private final long iova;
    private final int entryCount;
    private final int cqId;
    private int head;
    private int tail;
    private boolean phase = true;

    Queue(final long iova, final int entryCount, final int cqId) {
      this.iova = iova;
      this.entryCount = entryCount;
      this.cqId = cqId;
    }
  }

  private final SoftDma dma;
  private final Queue[] sqs;
  private final Queue[] cqs;
  private long badDoorbellCount;

  SoftQueues(final SoftDma dma, final int queueIdMax) {
    this.dma = dma;
    this.sqs = new Queue[queueIdMax + 1];
    this.cqs = new Queue[queueIdMax + 1];
  }

  int idMax() {
    return sqs.length - 1;
  }

  boolean hasSq(final int id) {
    return id >= 0 && id < sqs.length && sqs[id] != null;
  }

  boolean hasCq(final int id) {
    return id >= 0 && id < cqs.length && cqs[id] != null;
  }

  /** Whether a submission queue completes into this completion queue. */
  boolean isUsed(final int cqId) {
    for (final Queue sq : sqs) {
      if (sq != null && sq.cqId == cqId) {
        return true;
      }
    }
    return false;
  }

  void createSq(final int id, final long iova, final int entryCount, final int cqId) {
    sqs[id] = new Queue(iova, entryCount, cqId);
  }

  void createCq(final int id, final long iova, final int entryCount) {
    cqs[id] = new Queue(iova, entryCount, id);
  }

  void deleteSq(final int id) {
    sqs[id] = null;
  }

  void deleteCq(final int id) {
    cqs[id] = null;
  }

  void clear() {
    for (int id = 0; id < sqs.length; id++) {
      sqs[id] = null;
      cqs[id] = null;
    }
  }

  /** Doorbells with a value that is none of the queue's, or that takes back what was said. */
  long badDoorbellCount() {
    return badDoorbellCount;
  }

  void onSqTail(final int id, final int tail) {
    final Queue sq = sqs[id];
    if (sq == null || tail < 0 || tail >= sq.entryCount) {
      badDoorbellCount++;
      return;
    }
    // From head to the new tail there must be at least as much as to the one before.
    final int before = Math.floorMod(sq.tail - sq.head, sq.entryCount);
    if (Math.floorMod(tail - sq.head, sq.entryCount) < before) {
      badDoorbellCount++;
      return;
    }
    sq.tail = tail;
  }

  void onCqHead(final int id, final int head) {
    final Queue cq = cqs[id];
    if (cq == null || head < 0 || head >= cq.entryCount) {
      badDoorbellCount++;
      return;
    }
    final int held = Math.floorMod(cq.tail - cq.head, cq.entryCount);
    if (Math.floorMod(head - cq.head, cq.entryCount) > held) {
      badDoorbellCount++;
      return;
    }
    cq.head = head;
  }

  /** The next command of a queue, or null. */
  SoftCommand fetch(final int id) {
    final Queue sq = sqs[id];
    if (sq == null || sq.head == sq.tail) {
      return null;
    }
    final long entry =
        dma.address(
            sq.iova + (long) sq.head * SubmissionEntry.ENTRY_LENGTH, SubmissionEntry.ENTRY_LENGTH);
    if (entry == 0) {
      return null;
    }
    sq.head = sq.head + 1 == sq.entryCount ? 0 : sq.head + 1;
    return SoftCommand.read(id, entry);
  }

  /** Whether there is no room for a completion of this submission queue's commands. */
  boolean isFull(final int sqId) {
    final Queue sq = sqs[sqId];
    final Queue cq = sq == null ? null : cqs[sq.cqId];
    return cq == null || (cq.tail + 1) % cq.entryCount == cq.head;
  }

  /** Posts a completion; false when its queue is full or gone. */
  boolean post(final int sqId, final int commandId, final int status, final int result) {
    return post(sqId, commandId, status, result, false);
  }

  /** The same; {@code isWrongPhase}: with the phase tag of the lap before. */
  boolean post(
      final int sqId,
      final int commandId,
      final int status,
      final int result,
      final boolean isWrongPhase) {
    if (isFull(sqId)) {
      return false;
    }
    final Queue sq = sqs[sqId];
    final Queue cq = cqs[sq.cqId];
    final long entry =
        dma.address(
            cq.iova + (long) cq.tail * CompletionEntry.ENTRY_LENGTH, CompletionEntry.ENTRY_LENGTH);
    if (entry == 0) {
      return false;
    }
    Mem.putInt(entry + CompletionEntry.RESULT_OFFSET, result);
    Mem.putInt(entry + CompletionEntry.DWORD2_OFFSET, CompletionEntry.dword2(sq.head, sqId));
    Mem.putIntRelease(
        entry + CompletionEntry.DWORD3_OFFSET,
        CompletionEntry.dword3(commandId, status, cq.phase != isWrongPhase));
    cq.tail++;
    if (cq.tail == cq.entryCount) {
      cq.tail = 0;
      cq.phase = !cq.phase;
    }
    return true;
  }
}

package io.virtnvme.journal;

import io.virtnvme.ipc.memory.Mem;

/**
 * Where everything of one small controller lies in test memory: which queues exist (as the image of
 * a controller says it), doorbells, journals, and the guest's rings. Offsets are literal where the
 * NVMe specification has them.
 */
final class NvmeArea {
  static final int SQ_ENTRY = 64;
  static final int CQ_ENTRY = 16;

  /** Submission queue ids are not their places: a queue's id says nothing about where it lies. */
  static final int QUEUE_ID_BASE = 7;

  final int sqCount;
  final int sqSize;
  final int cqSize;

  /** Where counting begins: absolute numbers before the first command. */
  final long fetchedBase;

  final long postedBase;

  NvmeArea(
      final int sqCount,
      final int sqSize,
      final int cqSize,
      final long fetchedBase,
      final long postedBase) {
    this.sqCount = sqCount;
    this.sqSize = sqSize;
    this.cqSize = cqSize;
    this.fetchedBase = fetchedBase;
    this.postedBase = postedBase;
  }

  int cqJournalOffset() {
    return 128;
  }

  int sqJournalOffset(final int queue) {
    return cqJournalOffset() + 64 + queue * (int) NvmeSqJournal.regionLength(sqSize);
  }

  int sqRingOffset(final int queue) {
    return sqJournalOffset(sqCount) + queue * sqSize * SQ_ENTRY;
  }

  int cqRingOffset() {
    return sqRingOffset(sqCount);
  }

  int lengthBytes() {
    return (cqRingOffset() + cqSize * CQ_ENTRY + 63) & -64;
  }

  /** Which queue stands at a place, as the controller image says; the completion queue is last. */
  long creation(final TestMemory memory, final int queue) {
    return Mem.getLong(memory.address() + 8L * queue);
  }

  void creation(final TestMemory memory, final int queue, final long creation) {
    Mem.putLong(memory.address() + 8L * queue, creation);
  }

  int sqTail(final TestMemory memory, final int queue) {
    return Mem.getInt(memory.address() + 64 + 4L * queue);
  }

  void sqTail(final TestMemory memory, final int queue, final int tail) {
    Mem.putInt(memory.address() + 64 + 4L * queue, tail);
  }

  int cqHead(final TestMemory memory) {
    return Mem.getInt(memory.address() + 64 + 4L * sqCount);
  }

  void cqHead(final TestMemory memory, final int head) {
    Mem.putInt(memory.address() + 64 + 4L * sqCount, head);
  }

  long sqEntry(final TestMemory memory, final int queue, final int index) {
    return memory.address() + sqRingOffset(queue) + (long) index * SQ_ENTRY;
  }

  long cqEntry(final TestMemory memory, final int index) {
    return memory.address() + cqRingOffset() + (long) index * CQ_ENTRY;
  }

  /** Queues that have been in use for a while, idle now; or new ones when the bases are 0. */
  void initialise(final TestMemory memory) {
    Mem.fill(memory.address(), memory.lengthBytes(), (byte) 0);
    for (int queue = 0; queue <= sqCount; queue++) {
      creation(memory, queue, 1 + queue);
    }
    if (fetchedBase == 0 && postedBase == 0) {
      return;
    }
    new NvmeCqJournal(memory.address() + cqJournalOffset(), cqSize).initialise(1 + sqCount);
    Mem.putLong(memory.address() + cqJournalOffset() + 16, postedBase);
    for (int queue = 0; queue < sqCount; queue++) {
      final long journal = memory.address() + sqJournalOffset(queue);
      new NvmeSqJournal(journal, QUEUE_ID_BASE + queue, sqSize).initialise(1 + queue);
      Mem.putLong(journal + 16, fetchedBase);
      sqTail(memory, queue, (int) Long.remainderUnsigned(fetchedBase, sqSize));
    }
    final int tail = (int) Long.remainderUnsigned(postedBase, cqSize);
    final int phase = 1 - (int) (Long.divideUnsigned(postedBase, cqSize) & 1);
    cqHead(memory, tail);
    for (int index = 0; index < cqSize; index++) {
      // Left by the laps before: what was posted last has the phase of this lap.
      final int left = index < tail ? phase : 1 - phase;
      Mem.putInt(cqEntry(memory, index) + 8, QUEUE_ID_BASE << 16);
      Mem.putInt(cqEntry(memory, index) + 12, left << 16);
    }
  }
}

package io.virtnvme.journal;

import static io.virtnvme.journal.NvmeCqJournalDescriptor.CREATION_OFFSET;
import static io.virtnvme.journal.NvmeCqJournalDescriptor.POSTED_OFFSET;
import static io.virtnvme.journal.NvmeCqJournalDescriptor.QUEUE_SIZE_OFFSET;
import static io.virtnvme.journal.NvmeCqJournalDescriptor.VERSION;
import static io.virtnvme.journal.NvmeCqJournalDescriptor.VERSION_OFFSET;
import static io.virtnvme.journal.NvmeSqJournal.OFF;

import io.virtnvme.ipc.memory.Mem;
import io.virtnvme.ipc.nvme.CompletionEntry;
import java.lang.invoke.VarHandle;
import java.util.Arrays;

/**
 * Writer of the journal of one NVMe completion queue, I/O or admin, and of the guest's completion
 * queue itself; recovers both together with the journals of all submission queues that complete
 * into it. One thread at a time: the reactor that owns the queue.
 *
 * <p>Order of calls:
 *
 * <pre>
 *  start     if isNew(creation): initialise(creation)    else: validate(creation) must be null
 *            ring(address of the guest's queue)
 *            attach(sq) for each of its submission queues, which were looked at in the same way
 *            recover() with all of them, before anything is fetched; finds nothing in new ones
 *            per submission queue: count = sq.inflightSlots(slots); submit slots[0..count) again
 *            interrupt the guest once: the last interrupt may be lost
 *  complete  while room(head) &gt; 0                         head: the doorbell, read once, checked
 *              post(sq, slot, status, result)            of any of its submission queues
 *            postCommit()                                at the end of each batch
 *            interrupt the guest
 *  later     attach(sq) of a queue that was initialised; detach(sq) of one that is deleted
 * </pre>
 *
 * A batch is open from the first post to postCommit. The driver sees each entry at once; fetching
 * may go on. A queue must stay attached while a batch is open.
 *
 * <p>The entry of a completion is 16 bytes, two aligned 64-bit stores, the second with release: the
 * phase tag comes last and together with command id, queue id and status (NVMe Base Specification,
 * "Common Completion Queue Entry").
 */
public final class NvmeCqJournal {
  /** What {@link #recover} found. */
  public static final class Recovery {
    private int committedCount;
    private int publishedCount;
    private int inconsistencyCount;

    private Recovery() {}

    /** Completions that the driver had and the journal did not count yet. */
    public int committedCount() {
      return committedCount;
    }

    /** Completions that were decided and not published. */
    public int publishedCount() {
      return publishedCount;
    }

    /** Things that no crash explains. */
    public int inconsistencyCount() {
      return inconsistencyCount;
    }
  }

  private static final long LOW_HALF = 0xFFFF_FFFFL;

  private final long regionAddress;
  private final int queueSize;
  private final NvmeSqJournal[] batchQueues;
  private final int[] batchSlots;
  private final boolean[] batchThere;
  private final Recovery recovery = new Recovery();
  private NvmeSqJournal[] queues = new NvmeSqJournal[0];
  private long ringAddress;
  private int batchCount;
  private long posted;
  private int tail;
  private int phase = 1;

  /**
   * Works on a region; reads and stores nothing yet.
   *
   * @param regionAddress absolute address of this queue's region, aligned to 64, {@link
   *     #regionLength} bytes mapped
   * @param queueSize entries, 2..4096; not 0's based
   */
  public NvmeCqJournal(final long regionAddress, final int queueSize) {
    NvmeSqJournal.checkArguments(regionAddress, queueSize);
    this.regionAddress = regionAddress;
    this.queueSize = queueSize;
    this.batchQueues = new NvmeSqJournal[queueSize - 1];
    this.batchSlots = new int[queueSize - 1];
    this.batchThere = new boolean[queueSize - 1];
  }

  /** Bytes of one queue's region. */
  public static long regionLength() {
    return NvmeCqJournalDescriptor.LENGTH;
  }

  /**
   * Makes the region valid for a queue that the driver just created. A death inside leaves version
   * 0: the successor does it again.
   *
   * @param creation which queue of this id, see {@link NvmeSqJournal#initialise}
   */
  public void initialise(final long creation) {
    Mem.putIntRelease(regionAddress + VERSION_OFFSET, 0);
    Mem.putIntRelease(regionAddress + QUEUE_SIZE_OFFSET, queueSize);
    Mem.putLongRelease(regionAddress + CREATION_OFFSET, creation);
    Mem.putLongRelease(regionAddress + POSTED_OFFSET, 0);
    // Commit: everything before is valid once this word is.
    Mem.putIntRelease(regionAddress + VERSION_OFFSET, VERSION);
    batchCount = 0;
    moveTo(0);
  }

  private void moveTo(final long newPosted) {
    posted = newPosted;
    tail = (int) Long.remainderUnsigned(newPosted, queueSize);
    phase = phaseAt(newPosted);
  }

  /** Phase tag of the entry at an absolute index: 1 in the first lap, then inverted in each. */
  private int phaseAt(final long index) {
    return (int) ~Long.divideUnsigned(index, queueSize) & 1;
  }

  private NvmeHeaderCase headerCase(final long creation) {
    return NvmeHeaderCase.of(
        Mem.getInt(regionAddress + VERSION_OFFSET),
        Mem.getLong(regionAddress + CREATION_OFFSET) == creation,
        Mem.getInt(regionAddress + QUEUE_SIZE_OFFSET) == queueSize);
  }

  /** Whether the region is to be initialised; see {@link NvmeSqJournal#isNew}. */
  public boolean isNew(final long creation) {
    return headerCase(creation).decision() == NvmeHeaderCase.Decision.INITIALISE;
  }

  /**
   * Checks the header.
   *
   * @return null if it is new or can be recovered, else a sentence with the values
   */
  public String validate(final long creation) {
    if (OFF && !isNew(creation)) {
      return "NVMe queue journal in use, and this process keeps none (virtnvme.journal.off=true):"
          + " it cannot take the queue over";
    }
    return headerCase(creation)
        .explain(
            Mem.getInt(regionAddress + VERSION_OFFSET),
            Mem.getInt(regionAddress + QUEUE_SIZE_OFFSET),
            queueSize);
  }

  /**
   * Where the guest's queue is, now; again when it moves in our address space.
   *
   * @param newRingAddress aligned to 8, queueSize times 16 bytes writable: checked by the caller
   */
  public void ring(final long newRingAddress) {
    ringAddress = newRingAddress;
  }

  /** From now on a submission queue completes here. Control path; allocates. */
  public void attach(final NvmeSqJournal queue) {
    if (queue.completionQueue() != null) {
      throw new IllegalStateException("already attached: queueId=" + queue.queueId());
    }
    queues = Arrays.copyOf(queues, queues.length + 1);
    queues[queues.length - 1] = queue;
    queue.completionQueue(this);
  }

  /**
   * A submission queue is deleted: nothing of it completes any more, whatever is inflight. Control
   * path; allocates.
   */
  public void detach(final NvmeSqJournal queue) {
    if (queue.completionQueue() != this || batchCount != 0) {
      throw new IllegalStateException(
          "not attached, or a batch is open: queueId="
              + queue.queueId()
              + " batchCount="
              + batchCount);
    }
    final NvmeSqJournal[] kept = new NvmeSqJournal[queues.length - 1];
    int count = 0;
    for (final NvmeSqJournal other : queues) {
      if (other != queue) {
        kept[count++] = other;
      }
    }
    queues = kept;
    queue.completionQueue(null);
  }

  /**
   * How many entries can be posted before the driver frees one: it may not have queueSize of them,
   * since a full queue would look empty.
   *
   * @param head CQ head doorbell, 0..queueSize-1: read once and checked by the caller
   */
  public int room(final int head) {
    final int used = tail - head;
    return queueSize - 1 - (used < 0 ? used + queueSize : used);
  }

  /**
   * Completes one command: its intent, then its entry in the guest's queue. The driver has it from
   * then on. A death between the two leaves the entry to be published by the successor, one behind
   * them to be counted by it; the command is executed once in either case.
   *
   * @param queue the submission queue that it came from, attached here
   * @param slot its slot, inflight and committed
   * @param status status field, 15 bits as in bits 31:17 of dword 3: code, code type, more, do not
   *     retry; 0 is success
   * @param result dword 0 of the entry
   * @throws IllegalStateException if the slot is not inflight, or the batch is longer than the
   *     queue: the caller's books are broken
   */
  public void post(final NvmeSqJournal queue, final int slot, final int status, final int result) {
    if (batchCount == queueSize - 1 || queue.completionQueue() != this) {
      throw new IllegalStateException(
          "not attached, or no room: queueId=" + queue.queueId() + " batchCount=" + batchCount);
    }
    queue.intend(slot, posted + batchCount, status, result);
    writeEntry(queue, slot, status, result);
    batchQueues[batchCount] = queue;
    batchSlots[batchCount++] = slot;
    advance();
  }

  private void advance() {
    if (++tail == queueSize) {
      tail = 0;
      phase ^= 1;
    }
  }

  private void writeEntry(
      final NvmeSqJournal queue, final int slot, final int status, final int result) {
    final long entry = ringAddress + (long) tail * CompletionEntry.ENTRY_LENGTH;
    final int dword2 = CompletionEntry.dword2(queue.head(), queue.queueId());
    final int dword3 = CompletionEntry.dword3(queue.commandId(slot), status, phase != 0);
    Mem.putLong(entry + CompletionEntry.RESULT_OFFSET, result & LOW_HALF);
    Mem.putLongRelease(
        entry + CompletionEntry.DWORD2_OFFSET,
        (dword2 & LOW_HALF) | ((long) dword3 << Integer.SIZE));
  }

  /**
   * Ends a batch: the entries count as posted, and the slots are free. A death between its stores
   * leaves completed commands marked inflight; the successor clears them by their index.
   */
  public void postCommit() {
    final int count = batchCount;
    if (count == 0) {
      return;
    }
    posted += count;
    if (!OFF) {
      Mem.putLongRelease(regionAddress + POSTED_OFFSET, posted);
    }
    for (int i = 0; i < count; i++) {
      final NvmeSqJournal queue = batchQueues[i];
      final int slot = batchSlots[i];
      queue.retire(
          slot,
          i + 1 == count || batchQueues[i + 1] != queue || batchSlots[i + 1] >>> 6 != slot >>> 6);
    }
    batchCount = 0;
    // The command that is fetched into such a slot next is stored plainly: not before the bit of
    // this one is cleared, or a death in between would leave a mixture that counts as inflight.
    VarHandle.storeStoreFence();
  }

  /**
   * Repairs the journals of this queue and of all submission queues attached to it after the death
   * of their writer, completes what it had decided to complete, and takes them over. May itself be
   * cut at any store and be run again: what it decides on ({@code posted}) it changes last. Never
   * indexes outside region and ring whatever they hold; what no crash explains is counted.
   *
   * @return what was found; valid until the next call
   */
  public Recovery recover() {
    recovery.committedCount = 0;
    recovery.publishedCount = 0;
    recovery.inconsistencyCount = 0;
    Arrays.fill(batchQueues, null);
    Arrays.fill(batchThere, false);
    batchCount = 0;
    moveTo(Mem.getLong(regionAddress + POSTED_OFFSET));
    for (final NvmeSqJournal queue : queues) {
      recovery.inconsistencyCount += queue.load();
    }
    for (final NvmeSqJournal queue : queues) {
      collectIntents(queue);
    }
    int runLength = 0;
    while (runLength < batchQueues.length && batchQueues[runLength] != null) {
      runLength++;
    }
    for (final NvmeSqJournal queue : queues) {
      decide(queue, runLength);
    }
    complete(runLength);
    for (final NvmeSqJournal queue : queues) {
      queue.settle();
    }
    VarHandle.storeStoreFence();
    return recovery;
  }

  /** Puts each slot with an intent at or behind posted where its index says; the first one wins. */
  private void collectIntents(final NvmeSqJournal queue) {
    for (int word = 0; word < queue.wordCount(); word++) {
      for (long bits = queue.inflightWord(word); bits != 0; bits &= bits - 1) {
        final int slot = word * Long.SIZE + Long.numberOfTrailingZeros(bits);
        final int distance = distance(queue, slot);
        if (distance >= 0 && batchQueues[distance] == null) {
          batchQueues[distance] = queue;
          batchSlots[distance] = slot;
        }
      }
    }
  }

  private void decide(final NvmeSqJournal queue, final int runLength) {
    for (int word = 0; word < queue.wordCount(); word++) {
      long staying = queue.inflightWord(word);
      for (long bits = staying; bits != 0; bits &= bits - 1) {
        final long bit = Long.lowestOneBit(bits);
        final int slot = word * Long.SIZE + Long.numberOfTrailingZeros(bits);
        switch (decision(queue, slot, runLength)) {
          case RESUBMIT, PUBLISH -> {}
          case COMMIT -> batchThere[distance(queue, slot)] = true;
          case PUBLISH_AND_COUNT -> recovery.inconsistencyCount++;
          case RESUBMIT_AND_COUNT -> {
            queue.dropIntent(slot);
            recovery.inconsistencyCount++;
          }
          case CLEAR -> staying &= ~bit;
          case CLEAR_AND_COUNT -> {
            staying &= ~bit;
            recovery.inconsistencyCount++;
          }
        }
      }
      queue.settleWord(word, staying);
    }
  }

  /** Place of a slot's intent in a batch that begins at posted, or -1 if it can have none. */
  private int distance(final NvmeSqJournal queue, final int slot) {
    final long intent = queue.loadedIntent(slot);
    final long distance = NvmeSqJournalDescriptor.intentDistance(intent, posted);
    return NvmeSqJournalDescriptor.isIntent(intent)
            && queue.loadedFetch(slot) == NvmeRecovery.Fetch.COMMITTED
            && distance >= 0
            && distance < batchQueues.length
        ? (int) distance
        : -1;
  }

  private NvmeRecovery.Decision decision(
      final NvmeSqJournal queue, final int slot, final int runLength) {
    final int distance = distance(queue, slot);
    final boolean isNext =
        distance >= 0
            && distance < runLength
            && batchQueues[distance] == queue
            && batchSlots[distance] == slot;
    return NvmeRecovery.SlotCase.of(
            queue.loadedFetch(slot),
            NvmeRecovery.Intent.of(queue.loadedIntent(slot), posted, queueSize, isNext),
            isNext ? entryAt(posted + distance, queue, slot) : NvmeRecovery.Entry.OLD)
        .decision();
  }

  private NvmeRecovery.Entry entryAt(final long index, final NvmeSqJournal queue, final int slot) {
    final long word =
        Mem.getLong(
            ringAddress
                + Long.remainderUnsigned(index, queueSize) * CompletionEntry.ENTRY_LENGTH
                + CompletionEntry.DWORD2_OFFSET);
    final int dword2 = (int) word;
    final int dword3 = (int) (word >>> Integer.SIZE);
    return NvmeRecovery.Entry.of(
        CompletionEntry.phase(dword3) == (phaseAt(index) != 0),
        CompletionEntry.commandId(dword3) == queue.commandId(slot)
            && CompletionEntry.sqId(dword2) == queue.queueId());
  }

  /** Goes through the run of intents in index order, publishes what is not there, and commits. */
  private void complete(final int runLength) {
    for (int i = 0; i < runLength; i++) {
      final NvmeSqJournal queue = batchQueues[i];
      final int slot = batchSlots[i];
      if (batchThere[i]) {
        recovery.committedCount++;
      } else {
        writeEntry(
            queue,
            slot,
            NvmeSqJournalDescriptor.intentStatus(queue.loadedIntent(slot)),
            queue.loadedResult(slot));
        recovery.publishedCount++;
      }
      advance();
    }
    batchCount = runLength;
    postCommit();
  }

  /** Whether the driver has taken every entry. */
  public boolean isEmpty(final int head) {
    return head == tail;
  }

  /** Index of the next entry: the CQ tail, with what an open batch has published. */
  public int tail() {
    return tail;
  }

  /** Absolute count of entries posted and committed. */
  public long posted() {
    return posted;
  }

  /** Entries of the queue. */
  public int queueSize() {
    return queueSize;
  }
}

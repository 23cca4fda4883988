package io.virtnvme.journal;

import static io.virtnvme.journal.SplitInflightDescriptor.DESC_NUM_OFFSET;
import static io.virtnvme.journal.SplitInflightDescriptor.ENTRY_COUNTER_OFFSET;
import static io.virtnvme.journal.SplitInflightDescriptor.ENTRY_INFLIGHT_OFFSET;
import static io.virtnvme.journal.SplitInflightDescriptor.ENTRY_LENGTH;
import static io.virtnvme.journal.SplitInflightDescriptor.ENTRY_NEXT_OFFSET;
import static io.virtnvme.journal.SplitInflightDescriptor.FEATURES_OFFSET;
import static io.virtnvme.journal.SplitInflightDescriptor.HEADER_LENGTH;
import static io.virtnvme.journal.SplitInflightDescriptor.LAST_BATCH_HEAD_OFFSET;
import static io.virtnvme.journal.SplitInflightDescriptor.USED_IDX_OFFSET;
import static io.virtnvme.journal.SplitInflightDescriptor.VERSION;
import static io.virtnvme.journal.SplitInflightDescriptor.VERSION_OFFSET;

import io.virtnvme.ipc.memory.Mem;
import java.util.Arrays;

/**
 * Writer and recovery of the inflight region of one split virtqueue (vhost-user, "Inflight I/O
 * tracking"). One thread at a time: the reactor that owns the queue.
 *
 * <p>Order of calls:
 *
 * <pre>
 *  start     if isNew(): initialise(0, used-&gt;idx), next avail index from SET_VRING_BASE
 *            else: validate() must be null; count = recover(used-&gt;idx, heads);
 *                  next avail index = used-&gt;idx + count (modulo 2^16); submit heads[0..count)
 *  fetch     onFetch(head)                       for each request, in the order of the avail ring
 *  complete  batchBegin(); batchAdd(head) ...    1..queueSize requests
 *            write the used elements             anywhere before the index
 *            batchCommitHeads();
 *            publish used-&gt;idx                   release store: the driver has the batch
 *            batchEnd(used-&gt;idx)
 * </pre>
 *
 * No onFetch between the store of the used index and batchEnd: the driver may offer a head of the
 * batch again at once, and batchEnd would clear it.
 *
 * <p>Every store is a release store. A killed process leaves its stores in program order, so only
 * the compiler could reorder them, and a release store keeps it from that; it costs nothing on x86.
 *
 * <p>While running, nothing is read back from the region: its memory is shared with the front-end.
 */
public final class SplitInflight {
  private static final int QUEUE_SIZE_MAX = 32768;
  private static final int INDEX_MASK = 0xFFFF;
  private static final byte SET = 1;
  private static final byte CLEAR = 0;

  /**
   * For measuring what the journal costs, and for nothing else: with it a ring cannot be taken
   * over, see {@link #validate}. A constant, so the JIT leaves no trace of it on the data path.
   */
  private static final boolean OFF = Boolean.getBoolean("virtnvme.journal.off");

  private final long regionAddress;
  private final long entriesAddress;
  private final int queueSize;
  private final byte[] inflight;
  private final byte[] lastBatchMembers;
  private final int[] batchHeads;
  private final long[] counters;
  private long lastCounter;
  private int inflightCount;
  private int batchCount;
  private int lastBatchHead;
  private int inconsistencyCount;

  /**
   * Works on a region; reads and stores nothing yet.
   *
   * @param regionAddress absolute address of this queue's region, aligned to 8, at least {@link
   *     #regionLength} bytes mapped
   * @param queueSize the queue size of VhostUserInflight, 1..32768; the ring may be smaller
   */
  public SplitInflight(final long regionAddress, final int queueSize) {
    checkArguments(regionAddress, queueSize);
    this.regionAddress = regionAddress;
    this.entriesAddress = regionAddress + HEADER_LENGTH;
    this.queueSize = queueSize;
    this.inflight = new byte[queueSize];
    this.lastBatchMembers = new byte[queueSize];
    this.batchHeads = new int[queueSize];
    this.counters = new long[queueSize];
  }

  static void checkArguments(final long regionAddress, final int queueSize) {
    if (queueSize < 1 || queueSize > QUEUE_SIZE_MAX) {
      throw new IllegalArgumentException(
          "queue size out of range: queueSize=" + queueSize + ", allowed 1.." + QUEUE_SIZE_MAX);
    }
    if (regionAddress % Long.BYTES != 0) {
      throw new IllegalArgumentException(
          "region not aligned to 8 bytes: address=0x" + Long.toHexString(regionAddress));
    }
  }

  /** Bytes of one queue's region, a multiple of 64, so that the next queue begins on a line. */
  public static long regionLength(final int queueSize) {
    return (HEADER_LENGTH + (long) queueSize * ENTRY_LENGTH + 63) & -64L;
  }

  /**
   * Makes a new region valid. A death inside leaves version 0: the successor does it again.
   *
   * @param features 0 in version 1 of the format
   * @param usedIndex the ring's used-&gt;idx now, 0..65535. Not 0 by habit: a region may be new
   *     while the ring is old (after a migration), and a wrong index would make the next recovery
   *     clear requests that were never completed.
   */
  public void initialise(final long features, final int usedIndex) {
    Mem.putShortRelease(regionAddress + VERSION_OFFSET, (short) 0);
    Mem.fill(entriesAddress, (long) queueSize * ENTRY_LENGTH, CLEAR);
    Mem.putLongRelease(regionAddress + FEATURES_OFFSET, features);
    Mem.putShortRelease(regionAddress + DESC_NUM_OFFSET, (short) queueSize);
    Mem.putShortRelease(regionAddress + LAST_BATCH_HEAD_OFFSET, (short) 0);
    Mem.putShortRelease(regionAddress + USED_IDX_OFFSET, (short) usedIndex);
    // Commit: everything before is valid once this word is.
    Mem.putShortRelease(regionAddress + VERSION_OFFSET, (short) VERSION);
    Arrays.fill(inflight, CLEAR);
    inflightCount = 0;
    batchCount = 0;
    lastBatchHead = 0;
    lastCounter = 0;
    inconsistencyCount = 0;
  }

  /** Whether nobody has initialised the region (version 0). */
  public boolean isNew() {
    return Mem.getUnsignedShort(regionAddress + VERSION_OFFSET) == 0;
  }

  /**
   * Checks the header of a region that the front-end brought.
   *
   * @return null if it is new or can be recovered, else a sentence with the values
   */
  public String validate() {
    final int version = Mem.getUnsignedShort(regionAddress + VERSION_OFFSET);
    final int descNum = Mem.getUnsignedShort(regionAddress + DESC_NUM_OFFSET);
    if (OFF && version != 0) {
      return "inflight region in use, and this process keeps none (virtnvme.journal.off=true): it"
          + " cannot take the ring over";
    }
    return HeaderCase.explain(version, descNum, queueSize);
  }

  /**
   * Notes a request taken from the avail ring, before anything else is done with it. A death
   * between the two stores leaves it unfetched: the successor takes it from the avail ring.
   *
   * @param head descriptor index, 0..queueSize-1, not inflight: both checked by the caller
   */
  public void onFetch(final int head) {
    if (OFF) {
      return;
    }
    final long entry = entryAddress(head);
    Mem.putLongRelease(entry + ENTRY_COUNTER_OFFSET, ++lastCounter);
    Mem.putByteRelease(entry + ENTRY_INFLIGHT_OFFSET, SET);
    inflight[head] = SET;
    inflightCount++;
  }

  /**
   * Whether a head is inflight, from private memory: a front-end that scribbles on the region
   * cannot make the caller take a head twice.
   *
   * @param head descriptor index, 0..queueSize-1
   */
  public boolean isInflight(final int head) {
    return inflight[head] != 0;
  }

  /** Starts a batch of completions. */
  public void batchBegin() {
    batchCount = 0;
  }

  /**
   * Adds a request to the batch: linked before the one added last. No reader follows the links
   * until {@link #batchCommitHeads}, so a death here leaves nothing.
   *
   * @param head an inflight head, at most once per batch
   */
  public void batchAdd(final int head) {
    if (OFF) {
      return;
    }
    Mem.putShortRelease(entryAddress(head) + ENTRY_NEXT_OFFSET, (short) lastBatchHead);
    lastBatchHead = head;
    batchHeads[batchCount++] = head;
  }

  /**
   * Stores the head of the batch's list; the caller publishes used-&gt;idx next. A death between
   * the two leaves used_idx equal to the ring's: the batch was not completed, and is submitted
   * again.
   */
  public void batchCommitHeads() {
    if (OFF) {
      return;
    }
    Mem.putShortRelease(regionAddress + LAST_BATCH_HEAD_OFFSET, (short) lastBatchHead);
  }

  /**
   * Ends the batch after used-&gt;idx was published. A death inside leaves used_idx behind the
   * ring's: the successor clears the batch from last_batch_head on.
   *
   * @param newUsedIndex the published index; only its lower 16 bits count
   */
  public void batchEnd(final int newUsedIndex) {
    if (OFF) {
      return;
    }
    final int count = batchCount;
    for (int i = 0; i < count; i++) {
      final int head = batchHeads[i];
      Mem.putByteRelease(entryAddress(head) + ENTRY_INFLIGHT_OFFSET, CLEAR);
      inflight[head] = CLEAR;
    }
    Mem.putShortRelease(regionAddress + USED_IDX_OFFSET, (short) newUsedIndex);
    inflightCount -= count;
    batchCount = 0;
  }

  /**
   * Repairs the region after the death of its writer, and takes it over. May itself be cut at any
   * store and be run again: what it decides on (used_idx) it changes last. Never indexes outside
   * the region whatever it holds; what no crash explains is skipped and counted.
   *
   * @param ringUsedIndex the ring's used-&gt;idx, read once by the caller; lower 16 bits count
   * @param headsOut gets the inflight heads in fetch order; length at least queueSize
   * @return how many heads
   */
  public int recover(final int ringUsedIndex, final int[] headsOut) {
    inconsistencyCount = 0;
    final int usedIdx = Mem.getUnsignedShort(regionAddress + USED_IDX_OFFSET);
    final int gap = (ringUsedIndex - usedIdx) & INDEX_MASK;
    final int batchHead = Mem.getUnsignedShort(regionAddress + LAST_BATCH_HEAD_OFFSET);
    Arrays.fill(lastBatchMembers, CLEAR);
    switch (SplitRecovery.BatchCase.of(SplitRecovery.Gap.of(gap, queueSize)).decision()) {
      case TRUST_FLAGS -> {}
      case CLEAR_LAST_BATCH -> markLastBatch(batchHead, gap);
      case TRUST_FLAGS_AND_COUNT -> inconsistencyCount++;
    }
    final int count = takeEntries(headsOut);
    if (gap != 0) {
      Mem.putShortRelease(regionAddress + USED_IDX_OFFSET, (short) ringUsedIndex);
    }
    CounterOrder.sort(counters, headsOut, count);
    lastCounter = count == 0 ? 0 : counters[count - 1];
    inflightCount = count;
    batchCount = 0;
    lastBatchHead = batchHead;
    return count;
  }

  private void markLastBatch(final int batchHead, final int batchLength) {
    int head = batchHead;
    for (int i = 0; i < batchLength; i++) {
      if (head >= queueSize || lastBatchMembers[head] != 0) {
        inconsistencyCount++;
        return;
      }
      lastBatchMembers[head] = SET;
      head = Mem.getUnsignedShort(entryAddress(head) + ENTRY_NEXT_OFFSET);
    }
  }

  private int takeEntries(final int[] headsOut) {
    int count = 0;
    for (int head = 0; head < queueSize; head++) {
      final long entry = entryAddress(head);
      final InflightFlag flag = InflightFlag.of(Mem.getByte(entry + ENTRY_INFLIGHT_OFFSET));
      final SplitRecovery.LastBatch lastBatch =
          lastBatchMembers[head] != 0
              ? SplitRecovery.LastBatch.MEMBER
              : SplitRecovery.LastBatch.OUTSIDE;
      inflight[head] = CLEAR;
      switch (SplitRecovery.EntryCase.of(flag, lastBatch).decision()) {
        case SKIP -> {}
        case RESUBMIT -> {
          inflight[head] = SET;
          headsOut[count] = head;
          counters[count++] = Mem.getLong(entry + ENTRY_COUNTER_OFFSET);
        }
        case CLEAR -> Mem.putByteRelease(entry + ENTRY_INFLIGHT_OFFSET, CLEAR);
        case CLEAR_AND_COUNT -> {
          Mem.putByteRelease(entry + ENTRY_INFLIGHT_OFFSET, CLEAR);
          inconsistencyCount++;
        }
      }
    }
    return count;
  }

  /** How many requests are inflight, since {@link #initialise} or {@link #recover}. */
  public int inflightCount() {
    return inflightCount;
  }

  /** How many things the last {@link #recover} found that no crash explains. */
  public int inconsistencyCount() {
    return inconsistencyCount;
  }

  private long entryAddress(final int head) {
    return entriesAddress + (long) head * ENTRY_LENGTH;
  }
}

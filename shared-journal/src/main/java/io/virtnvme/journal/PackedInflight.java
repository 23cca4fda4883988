package io.virtnvme.journal;

import static io.virtnvme.journal.PackedInflightDescriptor.ENTRY_ADDR_OFFSET;
import static io.virtnvme.journal.PackedInflightDescriptor.ENTRY_COUNTER_OFFSET;
import static io.virtnvme.journal.PackedInflightDescriptor.ENTRY_FLAGS_OFFSET;
import static io.virtnvme.journal.PackedInflightDescriptor.ENTRY_ID_OFFSET;
import static io.virtnvme.journal.PackedInflightDescriptor.ENTRY_INFLIGHT_OFFSET;
import static io.virtnvme.journal.PackedInflightDescriptor.ENTRY_LENGTH;
import static io.virtnvme.journal.PackedInflightDescriptor.ENTRY_LEN_OFFSET;
import static io.virtnvme.journal.PackedInflightDescriptor.ENTRY_NEXT_OFFSET;
import static io.virtnvme.journal.PackedInflightDescriptor.FEATURES_OFFSET;
import static io.virtnvme.journal.PackedInflightDescriptor.FREE_HEAD_OFFSET;
import static io.virtnvme.journal.PackedInflightDescriptor.HEADER_LENGTH;
import static io.virtnvme.journal.PackedInflightDescriptor.OLD_FREE_HEAD_OFFSET;
import static io.virtnvme.journal.PackedInflightDescriptor.USED_IDX_OFFSET;
import static io.virtnvme.journal.PackedInflightDescriptor.VERSION;
import static io.virtnvme.journal.PackedInflightDescriptor.VERSION_OFFSET;

import io.virtnvme.ipc.memory.Mem;
import java.util.Arrays;

/**
 * Writer and recovery of the inflight region of one packed virtqueue (vhost-user, "Inflight I/O
 * tracking"). One thread at a time: the reactor that owns the queue.
 *
 * <p>The ring's descriptors of a request may be overwritten while it is inflight, so the region
 * keeps a copy of each: one <i>entry</i> per descriptor, linked in ring order. A request is named
 * by its first entry, 0..queueSize-1, which is unique among the inflight ones: index tasks by it.
 *
 * <p>Order of calls:
 *
 * <pre>
 *  start     if isNew(): initialise(0, used index and wrap counter of SET_VRING_BASE)
 *            else: validate() must be null; count = recover(ring, entries); submit
 *                  entries[0..count), their descriptors read with the descriptor...() accessors
 *            continue at availIndex()/availWrapCounter() and usedIndex()/usedWrapCounter()
 *  fetch     fetchBegin(); fetchDescriptor(...) for each descriptor in ring order;
 *            entry = fetchCommit()               the request is inflight
 *  complete  batchBegin(); slot = batchAdd(entry) for each request
 *            batchCommitHeads()
 *            write the used descriptors          from the last slot to the first; each with one
 *                                                64-bit release store of len, id and flags
 *            batchEnd()
 * </pre>
 *
 * The driver reads used descriptors in order, so the first slot of a batch, written last, publishes
 * all of it. From batchCommitHeads to batchEnd nothing may be fetched; between batchAdd and
 * batchCommitHeads it may.
 *
 * <p>Every store is a release store, and fields that must not part share one aligned word; see
 * {@link PackedInflightDescriptor}. While running, links and counts come from private copies: the
 * region is shared with the front-end. Only the descriptors' contents are read back from it; check
 * them as if they came from the ring.
 */
public final class PackedInflight {
  /** Bit of a slot as returned by {@link #batchAdd} that holds the wrap counter. */
  public static final int SLOT_WRAP_SHIFT = 15;

  private static final byte CLEAR = 0;

  private final long regionAddress;
  private final long entriesAddress;
  private final int queueSize;
  private final int[] next;
  private final int[] last;
  private final int[] num;
  private final int[] batchEntries;
  private final long[] counters;
  private final PackedSalvage salvage;
  private long lastCounter;
  private int freeHead;
  private int freeCount;
  private int usedIndex;
  private int usedWrap;
  private int inflightCount;
  private int fetchLast;
  private int fetchNext;
  private int fetchCount;
  private int batchCount;
  private int batchDescriptorCount;
  private int batchUsedIndex;
  private int batchUsedWrap;

  /**
   * Works on a region; reads and stores nothing yet.
   *
   * @param regionAddress absolute address of this queue's region, aligned to 8, at least {@link
   *     #regionLength} bytes mapped
   * @param queueSize the queue size of VhostUserInflight and of the ring, 1..32768
   */
  public PackedInflight(final long regionAddress, final int queueSize) {
    SplitInflight.checkArguments(regionAddress, queueSize);
    this.regionAddress = regionAddress;
    this.entriesAddress = regionAddress + HEADER_LENGTH;
    this.queueSize = queueSize;
    this.next = new int[queueSize];
    this.last = new int[queueSize];
    this.num = new int[queueSize];
    this.batchEntries = new int[queueSize];
    this.counters = new long[queueSize];
    this.salvage = new PackedSalvage(regionAddress, queueSize, next, last, num);
  }

  /** Bytes of one queue's region, a multiple of 64, so that the next queue begins on a line. */
  public static long regionLength(final int queueSize) {
    return (HEADER_LENGTH + (long) queueSize * ENTRY_LENGTH + 63) & -64L;
  }

  /**
   * Makes a new region valid. A death inside leaves version 0: the successor does it again.
   *
   * @param features 0 in version 1 of the format
   * @param initialUsedIndex the next used descriptor's ring index, from SET_VRING_BASE,
   *     0..queueSize-1: a region may be new while the ring is old
   * @param initialUsedWrapCounter the wrap counter that goes with it; true for a new ring
   */
  public void initialise(
      final long features, final int initialUsedIndex, final boolean initialUsedWrapCounter) {
    if (initialUsedIndex < 0 || initialUsedIndex >= queueSize) {
      throw new IllegalArgumentException(
          "used index out of range: usedIndex="
              + initialUsedIndex
              + " queueSize="
              + queueSize
              + "; check SET_VRING_BASE first");
    }
    Mem.putLongRelease(regionAddress + VERSION_OFFSET, 0);
    Mem.fill(entriesAddress, (long) queueSize * ENTRY_LENGTH, CLEAR);
    for (int entry = 0; entry < queueSize; entry++) {
      next[entry] = entry + 1;
      Mem.putShortRelease(entryAddress(entry) + ENTRY_NEXT_OFFSET, (short) (entry + 1));
    }
    Mem.putLongRelease(regionAddress + FEATURES_OFFSET, features);
    usedIndex = initialUsedIndex;
    usedWrap = initialUsedWrapCounter ? 1 : 0;
    Mem.putLongRelease(regionAddress + USED_IDX_OFFSET, settledUsedWord());
    // Commit: version, desc_num and both free heads (entry 0) appear together.
    Mem.putLongRelease(regionAddress + VERSION_OFFSET, VERSION | ((long) queueSize << Short.SIZE));
    Arrays.fill(num, 0);
    freeHead = 0;
    freeCount = queueSize;
    inflightCount = 0;
    batchCount = 0;
    fetchBegin();
    lastCounter = 0;
    salvage.forget();
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
    final long head = Mem.getLong(regionAddress + VERSION_OFFSET);
    final int version = (int) head & 0xFFFF;
    final String complaint = HeaderCase.explain(version, (int) head >>> Short.SIZE, queueSize);
    if (complaint != null || version == 0) {
      return complaint;
    }
    final long used = Mem.getLong(regionAddress + USED_IDX_OFFSET);
    if (usedIndexOf(used) < queueSize && oldUsedIndexOf(used) < queueSize) {
      return null;
    }
    return "inflight region has a used index outside the ring: used_idx="
        + usedIndexOf(used)
        + " old_used_idx="
        + oldUsedIndexOf(used)
        + " queueSize="
        + queueSize
        + "; the front-end must return the region it was given";
  }

  /** Starts a request; drops one that was begun and not committed. */
  public void fetchBegin() {
    fetchNext = freeHead;
    fetchCount = 0;
  }

  /**
   * Copies one descriptor of the request into the next free entry. A death before {@link
   * #fetchCommit} leaves it free: the successor takes the request from the ring.
   *
   * @param address buffer address (or of the indirect table), as read from the ring
   * @param length buffer length in bytes, unsigned
   * @param id buffer id; in a chain only that of the last descriptor counts
   * @param flags descriptor flags
   * @return false if no entry is free: the driver has more descriptors inflight than the ring holds
   */
  public boolean fetchDescriptor(
      final long address, final int length, final int id, final int flags) {
    final int entry = fetchNext;
    if (entry == queueSize) {
      return false;
    }
    final long entryAddress = entryAddress(entry);
    Mem.putLongRelease(
        entryAddress + ENTRY_ID_OFFSET,
        (id & 0xFFFFL) | ((flags & 0xFFFFL) << Short.SIZE) | ((long) length << Integer.SIZE));
    Mem.putLongRelease(entryAddress + ENTRY_ADDR_OFFSET, address);
    fetchLast = entry;
    fetchNext = next[entry];
    fetchCount++;
    return true;
  }

  /**
   * Makes the request inflight. The commit is the 32-bit store of both free heads: a death before
   * it leaves the entries on the free list, whatever their inflight byte says.
   *
   * @return the request's first entry
   */
  public int fetchCommit() {
    final int entry = freeHead;
    final long entryAddress = entryAddress(entry);
    Mem.putLongRelease(entryAddress + ENTRY_COUNTER_OFFSET, ++lastCounter);
    Mem.putLongRelease(
        entryAddress + ENTRY_INFLIGHT_OFFSET,
        1L
            | ((long) next[entry] << Short.SIZE)
            | ((long) fetchLast << (2 * Short.SIZE))
            | ((long) fetchCount << (3 * Short.SIZE)));
    freeHead = fetchNext;
    Mem.putIntRelease(regionAddress + FREE_HEAD_OFFSET, freeHead | (freeHead << Short.SIZE));
    last[entry] = fetchLast;
    num[entry] = fetchCount;
    freeCount -= fetchCount;
    inflightCount++;
    fetchCount = 0;
    return entry;
  }

  /** Starts a batch of completions. */
  public void batchBegin() {
    batchCount = 0;
    batchDescriptorCount = 0;
    batchUsedIndex = usedIndex;
    batchUsedWrap = usedWrap;
  }

  /**
   * Adds a request to the batch; stores nothing.
   *
   * @param entry first entry of an inflight request, at most once per batch
   * @return where its used descriptor goes: ring index in bits 0..14, wrap counter in bit 15
   */
  public int batchAdd(final int entry) {
    final int slot = batchUsedIndex | (batchUsedWrap << SLOT_WRAP_SHIFT);
    final int descriptorCount = num[entry];
    batchEntries[batchCount++] = entry;
    batchDescriptorCount += descriptorCount;
    batchUsedIndex += descriptorCount;
    if (batchUsedIndex >= queueSize) {
      batchUsedIndex -= queueSize;
      batchUsedWrap ^= 1;
    }
    return slot;
  }

  /**
   * Links the batch into the free list and advances the used fields; the caller writes the used
   * descriptors next. A death anywhere before the first of them is published is rolled back by
   * means of the old_ fields: the batch was not completed, and is submitted again.
   */
  public void batchCommitHeads() {
    int head = freeHead;
    final int count = batchCount;
    for (int i = 0; i < count; i++) {
      final int entry = batchEntries[i];
      final int tail = last[entry];
      next[tail] = head;
      Mem.putShortRelease(entryAddress(tail) + ENTRY_NEXT_OFFSET, (short) head);
      head = entry;
    }
    freeHead = head;
    Mem.putShortRelease(regionAddress + FREE_HEAD_OFFSET, (short) head);
    Mem.putLongRelease(
        regionAddress + USED_IDX_OFFSET,
        usedWord(batchUsedIndex, usedIndex, batchUsedWrap, usedWrap));
  }

  /**
   * Ends the batch after its used descriptors were published. A death inside finds the ring's
   * descriptor at old_used_idx used: the successor commits. The used word goes last: until then the
   * batch counts as open.
   */
  public void batchEnd() {
    final int count = batchCount;
    for (int i = 0; i < count; i++) {
      final int entry = batchEntries[i];
      Mem.putByteRelease(entryAddress(entry) + ENTRY_INFLIGHT_OFFSET, CLEAR);
      num[entry] = 0;
    }
    freeCount += batchDescriptorCount;
    Mem.putShortRelease(regionAddress + OLD_FREE_HEAD_OFFSET, (short) freeHead);
    usedIndex = batchUsedIndex;
    usedWrap = batchUsedWrap;
    Mem.putLongRelease(regionAddress + USED_IDX_OFFSET, settledUsedWord());
    inflightCount -= count;
    batchCount = 0;
    batchDescriptorCount = 0;
  }

  /**
   * Repairs the region after the death of its writer, and takes it over. May itself be cut at any
   * store and be run again: what it decides on (the used word) it changes last. Never indexes
   * outside region or ring whatever they hold; what no crash explains is skipped and counted.
   *
   * <p>Stores into the ring if a batch is rolled back: used descriptors after its first, which the
   * driver has not looked at yet, become available ones again. Left as they are, the driver would
   * take them for completions as soon as the first is published.
   *
   * @param ringAddress absolute address of the descriptor ring, queueSize descriptors mapped
   * @param entriesOut gets the first entries of the inflight requests in fetch order; length at
   *     least queueSize
   * @return how many requests
   */
  public int recover(final long ringAddress, final int[] entriesOut) {
    final int count = salvage.run(ringAddress, entriesOut, counters);
    freeHead = salvage.freeHead();
    freeCount = salvage.freeCount();
    usedIndex = salvage.usedIndex();
    usedWrap = salvage.usedWrap();
    // Free heads first: until the used word is settled, the last batch is decided the same way.
    Mem.putIntRelease(regionAddress + FREE_HEAD_OFFSET, freeHead | (freeHead << Short.SIZE));
    Mem.putLongRelease(regionAddress + USED_IDX_OFFSET, settledUsedWord());
    CounterOrder.sort(counters, entriesOut, count);
    lastCounter = count == 0 ? 0 : counters[count - 1];
    inflightCount = count;
    batchCount = 0;
    fetchBegin();
    return count;
  }

  /** Whether a request with this first entry is inflight; from private memory. */
  public boolean isInflight(final int entry) {
    return num[entry] != 0;
  }

  /** How many requests are inflight, since {@link #initialise} or {@link #recover}. */
  public int inflightCount() {
    return inflightCount;
  }

  /** Ring index of the next used descriptor, outside a batch. */
  public int usedIndex() {
    return usedIndex;
  }

  /** Wrap counter that goes with {@link #usedIndex}. */
  public boolean usedWrapCounter() {
    return usedWrap != 0;
  }

  /** Ring index of the next descriptor to fetch: behind everything inflight. */
  public int availIndex() {
    final int index = usedIndex + queueSize - freeCount;
    return index >= queueSize ? index - queueSize : index;
  }

  /** Wrap counter that goes with {@link #availIndex}. */
  public boolean availWrapCounter() {
    final boolean wrapped = usedIndex + queueSize - freeCount >= queueSize;
    return wrapped != (usedWrap != 0);
  }

  /** How many descriptors a request has, 1..queueSize; 0 if not inflight. */
  public int descriptorCount(final int firstEntry) {
    return num[firstEntry];
  }

  /** The entry of the descriptor after this one; only within a request. */
  public int nextEntry(final int entry) {
    return next[entry];
  }

  /** The entry of a request's last descriptor. */
  public int lastEntry(final int firstEntry) {
    return last[firstEntry];
  }

  /** Buffer id of a request, to be given back with its completion: that of its last descriptor. */
  public int bufferId(final int firstEntry) {
    return Mem.getUnsignedShort(entryAddress(last[firstEntry]) + ENTRY_ID_OFFSET);
  }

  /** Buffer address of one descriptor; unchecked peer memory, as are length and flags. */
  public long descriptorAddress(final int entry) {
    return Mem.getLong(entryAddress(entry) + ENTRY_ADDR_OFFSET);
  }

  /** Buffer length of one descriptor in bytes, unsigned. */
  public int descriptorLength(final int entry) {
    return Mem.getInt(entryAddress(entry) + ENTRY_LEN_OFFSET);
  }

  /** Flags of one descriptor, 0..65535. */
  public int descriptorFlags(final int entry) {
    return Mem.getUnsignedShort(entryAddress(entry) + ENTRY_FLAGS_OFFSET);
  }

  /** How many things the last {@link #recover} found that no crash explains. */
  public int inconsistencyCount() {
    return salvage.inconsistencyCount();
  }

  private long settledUsedWord() {
    return usedWord(usedIndex, usedIndex, usedWrap, usedWrap);
  }

  private static long usedWord(
      final int index, final int oldIndex, final int wrap, final int oldWrap) {
    return index | ((long) oldIndex << 16) | ((long) wrap << 32) | ((long) oldWrap << 40);
  }

  static int usedIndexOf(final long usedWord) {
    return (int) usedWord & 0xFFFF;
  }

  static int oldUsedIndexOf(final long usedWord) {
    return (int) usedWord >>> Short.SIZE;
  }

  private long entryAddress(final int entry) {
    return entriesAddress + (long) entry * ENTRY_LENGTH;
  }
}

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
  private static final byte UNSEEN = 0;
  private static final byte FREE = 1;
  private static final byte HELD = 2;

  private static final int RING_DESCRIPTOR_LENGTH = 16;
  private static final int RING_FLAGS_OFFSET = 14;
  private static final int RING_AVAIL_SHIFT = 7;
  private static final int RING_USED_SHIFT = 15;

  private final long regionAddress;
  private final long entriesAddress;
  private final int queueSize;
  private final int[] next;
  private final int[] last;
  private final int[] num;
  private final int[] batchEntries;
  private final long[] counters;
  private final byte[] places;
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
  private int batchUsedIndex;
  private int batchUsedWrap;
  private int inconsistencyCount;

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
    this.places = new byte[queueSize];
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
    batchEntries[batchCount++] = entry;
    batchUsedIndex += num[entry];
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
      freeCount += num[entry];
      num[entry] = 0;
    }
    Mem.putShortRelease(regionAddress + OLD_FREE_HEAD_OFFSET, (short) freeHead);
    usedIndex = batchUsedIndex;
    usedWrap = batchUsedWrap;
    Mem.putLongRelease(regionAddress + USED_IDX_OFFSET, settledUsedWord());
    inflightCount -= count;
    batchCount = 0;
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
    inconsistencyCount = 0;
    final int freeHeads = Mem.getInt(regionAddress + FREE_HEAD_OFFSET);
    final long used = Mem.getLong(regionAddress + USED_IDX_OFFSET);
    final int newIndex = checkedIndex(usedIndexOf(used));
    final int oldIndex = checkedIndex(oldUsedIndexOf(used));
    final int newWrap = checkedWrap((int) (used >>> 32) & 0xFF);
    final int oldWrap = checkedWrap((int) (used >>> 40) & 0xFF);
    final PackedRecovery.BatchDecision decision =
        PackedRecovery.BatchCase.of(
                newIndex == oldIndex && newWrap == oldWrap
                    ? PackedRecovery.Used.SAME_AS_OLD
                    : PackedRecovery.Used.AHEAD_OF_OLD,
                isAvailable(ringAddress, oldIndex, oldWrap)
                    ? PackedRecovery.RingSlot.AVAILABLE
                    : PackedRecovery.RingSlot.NOT_AVAILABLE)
            .decision();
    if (decision == PackedRecovery.BatchDecision.ROLL_BACK) {
      takeBackUsedDescriptors(ringAddress, oldIndex, oldWrap, newIndex, newWrap);
    }
    final boolean commit = decision == PackedRecovery.BatchDecision.COMMIT;
    freeHead = (commit ? freeHeads : freeHeads >>> Short.SIZE) & 0xFFFF;
    usedIndex = commit ? newIndex : oldIndex;
    usedWrap = commit ? newWrap : oldWrap;

    Arrays.fill(places, UNSEEN);
    final boolean listIsSound = takeFreeList();
    final int count = takeEntries(entriesOut);
    if (!listIsSound || freeCount + heldCount(entriesOut, count) != queueSize) {
      rebuildFreeList();
    }
    Mem.putIntRelease(regionAddress + FREE_HEAD_OFFSET, freeHead | (freeHead << Short.SIZE));
    Mem.putLongRelease(regionAddress + USED_IDX_OFFSET, settledUsedWord());
    CounterOrder.sort(counters, entriesOut, count);
    lastCounter = count == 0 ? 0 : counters[count - 1];
    inflightCount = count;
    batchCount = 0;
    fetchBegin();
    return count;
  }

  private int checkedIndex(final int index) {
    if (index < queueSize) {
      return index;
    }
    inconsistencyCount++;
    return 0;
  }

  private int checkedWrap(final int wrap) {
    if (wrap > 1) {
      inconsistencyCount++;
    }
    return wrap & 1;
  }

  private static boolean isAvailable(final long ringAddress, final int index, final int wrap) {
    final int flags = ringFlags(ringAddress, index);
    return ((flags >>> RING_AVAIL_SHIFT) & 1) == wrap && ((flags >>> RING_USED_SHIFT) & 1) != wrap;
  }

  private static int ringFlags(final long ringAddress, final int index) {
    return Mem.getUnsignedShort(
        ringAddress + (long) index * RING_DESCRIPTOR_LENGTH + RING_FLAGS_OFFSET);
  }

  private void takeBackUsedDescriptors(
      final long ringAddress,
      final int oldIndex,
      final int oldWrap,
      final int newIndex,
      final int newWrap) {
    int index = oldIndex;
    int wrap = oldWrap;
    for (int i = 0; i < queueSize; i++) {
      if (++index == queueSize) {
        index = 0;
        wrap ^= 1;
      }
      if (index == newIndex && wrap == newWrap) {
        return;
      }
      final int flags = ringFlags(ringAddress, index);
      if (((flags >>> RING_AVAIL_SHIFT) & 1) == wrap && ((flags >>> RING_USED_SHIFT) & 1) == wrap) {
        Mem.putShortRelease(
            ringAddress + (long) index * RING_DESCRIPTOR_LENGTH + RING_FLAGS_OFFSET,
            (short) (flags ^ (1 << RING_USED_SHIFT)));
      }
    }
    inconsistencyCount++;
  }

  /** Follows the free list, at most once through each entry; false if it comes back to one. */
  private boolean takeFreeList() {
    freeCount = 0;
    if (freeHead >= queueSize) {
      freeHead = queueSize;
    }
    int entry = freeHead;
    while (entry < queueSize) {
      if (places[entry] != UNSEEN) {
        return false;
      }
      places[entry] = FREE;
      freeCount++;
      next[entry] = readNext(entry);
      entry = next[entry];
    }
    return true;
  }

  private int takeEntries(final int[] entriesOut) {
    int count = 0;
    for (int entry = 0; entry < queueSize; entry++) {
      final long entryAddress = entryAddress(entry);
      final InflightFlag flag = InflightFlag.of(Mem.getByte(entryAddress + ENTRY_INFLIGHT_OFFSET));
      final PackedRecovery.Place place =
          places[entry] == FREE ? PackedRecovery.Place.FREE : PackedRecovery.Place.HELD;
      num[entry] = 0;
      final boolean isHead = flag == InflightFlag.SET && place == PackedRecovery.Place.HELD;
      final PackedRecovery.Chain chain =
          isHead && claimChain(entry) ? PackedRecovery.Chain.SOUND : PackedRecovery.Chain.BROKEN;
      switch (PackedRecovery.EntryCase.of(flag, place, chain).decision()) {
        case SKIP -> {}
        case RESUBMIT -> {
          entriesOut[count] = entry;
          counters[count++] = Mem.getLong(entryAddress + ENTRY_COUNTER_OFFSET);
        }
        case CLEAR -> Mem.putByteRelease(entryAddress + ENTRY_INFLIGHT_OFFSET, CLEAR);
        case CLEAR_AND_COUNT -> {
          Mem.putByteRelease(entryAddress + ENTRY_INFLIGHT_OFFSET, CLEAR);
          inconsistencyCount++;
        }
      }
    }
    return count;
  }

  /** Takes the entries of a request, all or none. */
  private boolean claimChain(final int head) {
    final long word = Mem.getLong(entryAddress(head) + ENTRY_INFLIGHT_OFFSET);
    final int tail = (int) (word >>> (2 * Short.SIZE)) & 0xFFFF;
    final int length = (int) (word >>> (3 * Short.SIZE)) & 0xFFFF;
    int entry = head;
    int claimed = 0;
    while (claimed < length && entry < queueSize && places[entry] == UNSEEN) {
      places[entry] = HELD;
      claimed++;
      if (claimed == length && entry == tail) {
        last[head] = tail;
        num[head] = length;
        return true;
      }
      next[entry] = readNext(entry);
      entry = next[entry];
    }
    entry = head;
    for (int i = 0; i < claimed; i++) {
      places[entry] = UNSEEN;
      entry = next[entry];
    }
    return false;
  }

  private int heldCount(final int[] entries, final int count) {
    int held = 0;
    for (int i = 0; i < count; i++) {
      held += num[entries[i]];
    }
    return held;
  }

  /** No crash leads here: makes a free list of everything that no sound request holds. */
  private void rebuildFreeList() {
    inconsistencyCount++;
    freeCount = 0;
    freeHead = queueSize;
    for (int entry = queueSize - 1; entry >= 0; entry--) {
      if (places[entry] != HELD) {
        next[entry] = freeHead;
        Mem.putShortRelease(entryAddress(entry) + ENTRY_NEXT_OFFSET, (short) freeHead);
        freeHead = entry;
        freeCount++;
      }
    }
  }

  private int readNext(final int entry) {
    return Math.min(Mem.getUnsignedShort(entryAddress(entry) + ENTRY_NEXT_OFFSET), queueSize);
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
    return inconsistencyCount;
  }

  private long settledUsedWord() {
    return usedWord(usedIndex, usedIndex, usedWrap, usedWrap);
  }

  private static long usedWord(
      final int index, final int oldIndex, final int wrap, final int oldWrap) {
    return index | ((long) oldIndex << 16) | ((long) wrap << 32) | ((long) oldWrap << 40);
  }

  private static int usedIndexOf(final long usedWord) {
    return (int) usedWord & 0xFFFF;
  }

  private static int oldUsedIndexOf(final long usedWord) {
    return (int) usedWord >>> Short.SIZE;
  }

  private long entryAddress(final int entry) {
    return entriesAddress + (long) entry * ENTRY_LENGTH;
  }
}

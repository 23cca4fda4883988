package io.virtnvme.journal;

import static io.virtnvme.journal.PackedInflightDescriptor.ENTRY_COUNTER_OFFSET;
import static io.virtnvme.journal.PackedInflightDescriptor.ENTRY_INFLIGHT_OFFSET;
import static io.virtnvme.journal.PackedInflightDescriptor.ENTRY_LENGTH;
import static io.virtnvme.journal.PackedInflightDescriptor.ENTRY_NEXT_OFFSET;
import static io.virtnvme.journal.PackedInflightDescriptor.FREE_HEAD_OFFSET;
import static io.virtnvme.journal.PackedInflightDescriptor.HEADER_LENGTH;
import static io.virtnvme.journal.PackedInflightDescriptor.USED_IDX_OFFSET;

import io.virtnvme.ipc.memory.Mem;
import java.util.Arrays;

/**
 * What {@link PackedInflight#recover} finds out about a region before it settles the header: the
 * decision on the last batch, the free list, and the requests that are held. Fills the link arrays
 * of the {@link PackedInflight} it belongs to. Each word of shared memory is read once.
 */
final class PackedSalvage {
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
  private final byte[] places;
  private int freeHead;
  private int freeCount;
  private int heldCount;
  private int usedIndex;
  private int usedWrap;
  private int inconsistencyCount;

  PackedSalvage(
      final long regionAddress,
      final int queueSize,
      final int[] next,
      final int[] last,
      final int[] num) {
    this.regionAddress = regionAddress;
    this.entriesAddress = regionAddress + HEADER_LENGTH;
    this.queueSize = queueSize;
    this.next = next;
    this.last = last;
    this.num = num;
    this.places = new byte[queueSize];
  }

  /** Repairs everything but the header; returns how many requests are inflight, unsorted. */
  int run(final long ringAddress, final int[] entriesOut, final long[] counters) {
    forget();
    decideLastBatch(ringAddress);
    Arrays.fill(places, UNSEEN);
    final boolean listIsSound = takeFreeList();
    final int count = takeEntries(entriesOut, counters);
    if (!listIsSound || freeCount + heldCount != queueSize) {
      rebuildFreeList();
    }
    return count;
  }

  private void decideLastBatch(final long ringAddress) {
    final int freeHeads = Mem.getInt(regionAddress + FREE_HEAD_OFFSET);
    final long used = Mem.getLong(regionAddress + USED_IDX_OFFSET);
    final int newIndex = checkedIndex(PackedInflight.usedIndexOf(used));
    final int oldIndex = checkedIndex(PackedInflight.oldUsedIndexOf(used));
    final int newWrap = checkedWrap((int) (used >>> 32) & 0xFF);
    final int oldWrap = checkedWrap((int) (used >>> 40) & 0xFF);
    // The wrap counters count, too: a batch that fills the ring leaves the index as it was.
    final PackedRecovery.BatchDecision decision =
        PackedRecovery.BatchCase.of(
                newIndex == oldIndex && newWrap == oldWrap
                    ? PackedRecovery.Used.SAME_AS_OLD
                    : PackedRecovery.Used.AHEAD_OF_OLD,
                isAvailable(ringAddress, oldIndex, oldWrap)
                    ? PackedRecovery.RingSlot.AVAILABLE
                    : PackedRecovery.RingSlot.NOT_AVAILABLE)
            .decision();
    final boolean commit =
        switch (decision) {
          case COMMIT -> true;
          case ROLL_BACK_FREE_LIST -> false;
          case ROLL_BACK -> {
            takeBackUsedDescriptors(ringAddress, oldIndex, oldWrap, newIndex, newWrap);
            yield false;
          }
        };
    freeHead = (commit ? freeHeads : freeHeads >>> Short.SIZE) & 0xFFFF;
    usedIndex = commit ? newIndex : oldIndex;
    usedWrap = commit ? newWrap : oldWrap;
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

  /**
   * Makes the used descriptors behind the first slot of an unpublished batch available again. Their
   * contents are gone, but all slots up to the new used index belong to requests that the region
   * holds, and nobody fetches them from the ring again.
   */
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
    // Index and wrap counter do not go together: not a batch that fits the ring.
    inconsistencyCount++;
  }

  /** Follows the free list, at most once through each entry; false if it comes back to one. */
  private boolean takeFreeList() {
    freeCount = 0;
    freeHead = Math.min(freeHead, queueSize);
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

  private int takeEntries(final int[] entriesOut, final long[] counters) {
    int count = 0;
    heldCount = 0;
    for (int entry = 0; entry < queueSize; entry++) {
      final long entryAddress = entryAddress(entry);
      final InflightFlag flag = InflightFlag.of(Mem.getByte(entryAddress + ENTRY_INFLIGHT_OFFSET));
      final PackedRecovery.Place place =
          places[entry] == FREE ? PackedRecovery.Place.FREE : PackedRecovery.Place.HELD;
      final boolean isHead = flag == InflightFlag.SET && place == PackedRecovery.Place.HELD;
      num[entry] = 0;
      final PackedRecovery.Chain chain =
          isHead && claimChain(entry) ? PackedRecovery.Chain.SOUND : PackedRecovery.Chain.BROKEN;
      switch (PackedRecovery.EntryCase.of(flag, place, chain).decision()) {
        case SKIP -> {}
        case RESUBMIT -> {
          heldCount += num[entry];
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

  private long entryAddress(final int entry) {
    return entriesAddress + (long) entry * ENTRY_LENGTH;
  }

  void forget() {
    inconsistencyCount = 0;
  }

  int freeHead() {
    return freeHead;
  }

  int freeCount() {
    return freeCount;
  }

  int usedIndex() {
    return usedIndex;
  }

  int usedWrap() {
    return usedWrap;
  }

  int inconsistencyCount() {
    return inconsistencyCount;
  }
}

package io.virtnvme.slave.bdev;

import io.virtnvme.ipc.memory.Mem;
import io.virtnvme.ipc.nvme.PrpEntry;
import io.virtnvme.ipc.nvme.SubmissionEntry;
import io.virtnvme.ipc.nvme.queue.DeviceQueueGeometry;
import io.virtnvme.ipc.nvme.queue.DeviceQueueSegment;

/**
 * Writes the PRPs of one command after another (base specification 2.0, 4.1.1): the first entry may
 * begin inside a page, all others are whole pages but for the end of the last one. A list is one
 * page, the slot's. One reactor thread.
 */
final class NvmePrps {
  /** From a slot's list to its bounce buffer. */
  static final int BOUNCE_OFFSET = PrpEntry.PAGE_BYTES;

  private final DmaMap dma;
  private final DeviceQueueGeometry geometry;
  private final long segment;
  private final int blockMask;

  /** The list being written, as we see it and as the device does, and how many entries it has. */
  private long list;

  private long listIova;
  private int listCount;
  private long first;

  NvmePrps(final DmaMap dma, final DeviceQueueGeometry geometry, final long segment) {
    this.dma = dma;
    this.geometry = geometry;
    this.segment = segment;
    this.blockMask = geometry.blockBytes() - 1;
  }

  /** Where the device sees a slot's list. */
  long listIova(final int slot) {
    return geometry.iova() + DeviceQueueSegment.listOffset(geometry, slot);
  }

  private void begin(final int slot) {
    final long offset = DeviceQueueSegment.listOffset(geometry, slot);
    list = segment + offset;
    listIova = geometry.iova() + offset;
    listCount = -1;
  }

  /** False when the list is full. */
  private boolean add(final long iova) {
    if (listCount < 0) {
      first = iova;
    } else if (listCount < PrpEntry.ENTRIES_PER_PAGE) {
      Mem.putLong(list + (long) listCount * PrpEntry.ENTRY_LENGTH, iova);
    } else {
      return false;
    }
    listCount++;
    return true;
  }

  /**
   * Names as much of the iovecs as PRPs can, from a place on: whole blocks, {@code wantedBytes} at
   * most. Returns how many bytes; 0 when not even a block.
   */
  long direct(
      final int slot,
      final long iovecs,
      final int iovecCount,
      final int iovecIndex,
      final long iovecUsedBytes,
      final long wantedBytes) {
    begin(slot);
    long done = 0;
    long used = iovecUsedBytes;
    int firstOffset = 0;
    boolean isFull = false;
    for (int i = iovecIndex; i < iovecCount && done < wantedBytes && !isFull; i++) {
      final long iovec = Iovecs.at(iovecs, i);
      final long length = Math.min(Iovecs.length(iovec) - used, wantedBytes - done);
      final long host = Iovecs.address(iovec) + used;
      used = 0;
      if (length == 0) {
        continue;
      }
      final long iova = dma.iova(host, length);
      final boolean goesOn =
          done == 0
              ? iova % Integer.BYTES == 0
              : PrpEntry.offset(iova) == 0 && PrpEntry.offset(firstOffset + done) == 0;
      if (iova == DmaMap.UNMAPPED || !goesOn) {
        break;
      }
      if (done == 0) {
        firstOffset = PrpEntry.offset(iova);
      }
      long at = 0;
      while (at < length) {
        if (!add(iova + at)) {
          isFull = true;
          break;
        }
        at += Math.min(length - at, PrpEntry.bytesToPageEnd(iova + at));
      }
      done += at;
    }
    final long whole = done & ~(long) blockMask;
    keep(firstOffset, whole);
    return whole;
  }

  /** Forgets entries behind the bytes that are wanted. */
  private void keep(final int firstOffset, final long lengthBytes) {
    listCount =
        (int) ((firstOffset + lengthBytes + PrpEntry.OFFSET_MASK) >>> PrpEntry.PAGE_SHIFT) - 1;
  }

  /** Names the front of a slot's bounce buffer. */
  void bounce(final int slot, final long lengthBytes) {
    begin(slot);
    for (long at = 0; at < lengthBytes; at += PrpEntry.PAGE_BYTES) {
      add(listIova + BOUNCE_OFFSET + at);
    }
  }

  /** Names one page of zeroes, again and again; for how many bytes of those wanted. */
  long zeroes(final int slot, final long wantedBytes) {
    begin(slot);
    Mem.fill(list + BOUNCE_OFFSET, PrpEntry.PAGE_BYTES, (byte) 0);
    long done = 0;
    while (done < wantedBytes && add(listIova + BOUNCE_OFFSET)) {
      done += Math.min(wantedBytes - done, PrpEntry.PAGE_BYTES);
    }
    return done;
  }

  /** Stores what was named last into a command. */
  void put(final long entry) {
    Mem.putLong(entry + SubmissionEntry.PRP1_OFFSET, first);
    if (listCount == 1) {
      Mem.putLong(entry + SubmissionEntry.PRP2_OFFSET, Mem.getLong(list));
    } else if (listCount > 1) {
      Mem.putLong(entry + SubmissionEntry.PRP2_OFFSET, listIova);
    }
  }
}

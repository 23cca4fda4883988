package io.virtnvme.slave.nvme;

import io.virtnvme.ipc.memory.Mem;
import io.virtnvme.ipc.nvme.PrpEntry;
import io.virtnvme.ipc.nvme.Status;
import io.virtnvme.slave.virtqueue.GuestMemory;

/**
 * Reads PRP entries and lists (NVM Express base specification 2.0, 4.1.1). Each entry is read once.
 * A list that leads to itself ends, since each of its pages moves the transfer on. No state.
 */
final class PrpReader {
  private static final int ENTRY_ALIGNMENT_MASK = 3;
  private static final int LIST_ALIGNMENT_MASK = 7;

  private PrpReader() {}

  /**
   * Adds the pieces of a transfer to a list.
   *
   * @param lists where list pages may lie
   * @param data where data may lie
   * @param prp1 first entry of the command
   * @param prp2 second entry of the command; looked at when the first page is too short
   * @param lengthBytes at least 1
   * @return {@link Status#SUCCESS}, or the status that the command ends with, or {@link
   *     IovecList#FULL}
   */
  static int read(
      final GuestMemory lists,
      final GuestMemory data,
      final long prp1,
      final long prp2,
      final long lengthBytes,
      final IovecList out) {
    if ((prp1 & ENTRY_ALIGNMENT_MASK) != 0) {
      return Status.INVALID_PRP_OFFSET;
    }
    final long first = Math.min(lengthBytes, PrpEntry.bytesToPageEnd(prp1));
    final int status = out.add(data, prp1, first);
    final long left = lengthBytes - first;
    if (status != Status.SUCCESS || left == 0) {
      return status;
    }
    return left <= PrpEntry.PAGE_BYTES
        ? page(data, prp2, left, out)
        : lists(lists, data, prp2, left, out);
  }

  private static int page(
      final GuestMemory data, final long entry, final long bytes, final IovecList out) {
    return PrpEntry.offset(entry) == 0 ? out.add(data, entry, bytes) : Status.INVALID_PRP_OFFSET;
  }

  private static int lists(
      final GuestMemory lists,
      final GuestMemory data,
      final long firstList,
      final long bytes,
      final IovecList out) {
    if ((firstList & LIST_ALIGNMENT_MASK) != 0) {
      return Status.INVALID_PRP_OFFSET;
    }
    long list = firstList;
    long left = bytes;
    while (true) {
      final int room = PrpEntry.bytesToPageEnd(list) / PrpEntry.ENTRY_LENGTH;
      final long pages = (left + PrpEntry.OFFSET_MASK) >>> PrpEntry.PAGE_SHIFT;
      // The last entry of a page that cannot hold all of them names the next page.
      final boolean chained = pages > room;
      final int entryCount = chained ? room - 1 : (int) pages;
      final long host =
          lists.translate(list, (long) (chained ? room : entryCount) * PrpEntry.ENTRY_LENGTH);
      if (host == 0) {
        return Status.DATA_TRANSFER_ERROR;
      }
      for (int i = 0; i < entryCount; i++) {
        final long part = Math.min(left, PrpEntry.PAGE_BYTES);
        final int status =
            page(data, Mem.getLong(host + (long) i * PrpEntry.ENTRY_LENGTH), part, out);
        if (status != Status.SUCCESS) {
          return status;
        }
        left -= part;
      }
      if (!chained) {
        return Status.SUCCESS;
      }
      list = Mem.getLong(host + (long) entryCount * PrpEntry.ENTRY_LENGTH);
      if (PrpEntry.offset(list) != 0) {
        return Status.INVALID_PRP_OFFSET;
      }
    }
  }
}

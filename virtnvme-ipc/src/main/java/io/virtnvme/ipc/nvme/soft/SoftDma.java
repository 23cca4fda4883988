package io.virtnvme.ipc.nvme.soft;

import io.virtnvme.ipc.memory.Mem;
import io.virtnvme.ipc.nvme.PrpEntry;
import io.virtnvme.ipc.sys.Errno;
import io.virtnvme.ipc.sys.SysException;
import java.util.Map;
import java.util.TreeMap;

/** What the device may reach, as an IOMMU has it. Any thread, one at a time. */
final class SoftDma {
  private record Range(long address, long lengthBytes) {}

  private final TreeMap<Long, Range> ranges = new TreeMap<>();
  private long faultCount;

  synchronized void map(final long address, final long iova, final long lengthBytes) {
    if (((address | iova | lengthBytes) & PrpEntry.OFFSET_MASK) != 0 || lengthBytes <= 0) {
      throw new SysException("map of iova 0x" + Long.toHexString(iova), Errno.EINVAL);
    }
    final Map.Entry<Long, Range> below = ranges.lowerEntry(iova + lengthBytes);
    if (below != null && below.getKey() + below.getValue().lengthBytes() > iova) {
      throw new SysException("map of iova 0x" + Long.toHexString(iova), Errno.EEXIST);
    }
    ranges.put(iova, new Range(address, lengthBytes));
  }

  synchronized void unmap(final long iova, final long lengthBytes) {
    final Range range = ranges.get(iova);
    if (range == null || range.lengthBytes() != lengthBytes) {
      throw new SysException("unmap of iova 0x" + Long.toHexString(iova), Errno.EINVAL);
    }
    ranges.remove(iova);
  }

  /** The address of a range that is mapped as a whole, or 0, which is counted. */
  synchronized long address(final long iova, final long lengthBytes) {
    final Map.Entry<Long, Range> entry = ranges.floorEntry(iova);
    if (entry != null) {
      final long offset = iova - entry.getKey();
      if (offset + lengthBytes <= entry.getValue().lengthBytes()) {
        return entry.getValue().address() + offset;
      }
    }
    faultCount++;
    return 0;
  }

  /** Accesses outside of what was mapped. */
  synchronized long faultCount() {
    return faultCount;
  }

  synchronized int rangeCount() {
    return ranges.size();
  }

  /**
   * Moves bytes between an array and the memory that PRPs name (base specification 2.0, 4.1.1).
   * False when an entry is not mapped, or has an offset where it may not.
   *
   * @param toHost from the array to memory
   */
  boolean transfer(
      final long prp1,
      final long prp2,
      final byte[] bytes,
      final int start,
      final int lengthBytes,
      final boolean toHost) {
    int done = move(prp1, bytes, start, lengthBytes, toHost);
    if (done < 0) {
      return false;
    }
    if (done == lengthBytes) {
      return true;
    }
    if (lengthBytes - done <= PrpEntry.PAGE_BYTES) {
      return PrpEntry.offset(prp2) == 0
          && move(prp2, bytes, start + done, lengthBytes - done, toHost) == lengthBytes - done;
    }
    long list = prp2;
    while (done < lengthBytes) {
      final boolean isLast = PrpEntry.bytesToPageEnd(list) == PrpEntry.ENTRY_LENGTH;
      final long address = address(list, PrpEntry.ENTRY_LENGTH);
      if (address == 0 || list % PrpEntry.ENTRY_LENGTH != 0) {
        return false;
      }
      final long entry = Mem.getLong(address);
      if (PrpEntry.offset(entry) != 0) {
        return false;
      }
      if (isLast && lengthBytes - done > PrpEntry.PAGE_BYTES) {
        list = entry;
        continue;
      }
      final int moved = move(entry, bytes, start + done, lengthBytes - done, toHost);
      if (moved < 0) {
        return false;
      }
      done += moved;
      list += PrpEntry.ENTRY_LENGTH;
    }
    return true;
  }

  /** Up to the end of the entry's page; -1 when it is not mapped. */
  private int move(
      final long entry,
      final byte[] bytes,
      final int start,
      final int lengthBytes,
      final boolean toHost) {
    final int length = Math.min(lengthBytes, PrpEntry.bytesToPageEnd(entry));
    final long address = address(entry, length);
    if (address == 0 || entry % Integer.BYTES != 0) {
      return -1;
    }
    if (toHost) {
      Mem.copyIn(bytes, start, address, length);
    } else {
      Mem.copyOut(address, bytes, start, length);
    }
    return length;
  }
}

package io.virtnvme.slave.nvme;

import io.virtnvme.ipc.memory.Mem;
import io.virtnvme.ipc.nvme.Status;
import io.virtnvme.slave.virtqueue.GuestMemory;

/**
 * Fills an array of {@code struct iovec} with host addresses; pieces that touch become one. One
 * reactor thread; no allocation.
 */
final class IovecList {
  static final int ENTRY_LENGTH = 2 * Long.BYTES;
  static final int LENGTH_OFFSET = Long.BYTES;

  /** Answer of {@link #add}: there is no room for so many pieces. Not a status that NVMe has. */
  static final int FULL = -1;

  private long address;
  private int capacity;
  private int count;
  private long end;

  /** Begins a list at a host address, for so many pieces. */
  void begin(final long listAddress, final int pieceCountMax) {
    address = listAddress;
    capacity = pieceCountMax;
    count = 0;
    end = 0;
  }

  int count() {
    return count;
  }

  /**
   * Adds a guest range, of which each part may lie in another region.
   *
   * @param lengthBytes at least 1
   * @return {@link Status#SUCCESS}, {@link Status#DATA_TRANSFER_ERROR} when some of it is in no
   *     region, or {@link #FULL}
   */
  int add(final GuestMemory memory, final long guestAddress, final long lengthBytes) {
    final long host = memory.translate(guestAddress, lengthBytes);
    return host != 0 ? append(host, lengthBytes) : addParts(memory, guestAddress, lengthBytes);
  }

  private int addParts(final GuestMemory memory, final long guestAddress, final long lengthBytes) {
    long next = guestAddress;
    long left = lengthBytes;
    while (left > 0) {
      final long part = Math.min(left, memory.contiguousLength(next));
      final long host = memory.translate(next, part);
      if (host == 0) {
        return Status.DATA_TRANSFER_ERROR;
      }
      final int status = append(host, part);
      if (status != Status.SUCCESS) {
        return status;
      }
      next += part;
      left -= part;
    }
    return Status.SUCCESS;
  }

  /**
   * Adds a range of data that nobody wants, of any length: pieces of one private buffer.
   *
   * @param host address of the buffer
   * @param bufferBytes its length
   * @return {@link Status#SUCCESS} or {@link #FULL}
   */
  int addTrash(final long host, final int bufferBytes, final long lengthBytes) {
    long left = lengthBytes;
    while (left > 0) {
      final long part = Math.min(left, bufferBytes);
      final int status = append(host, part);
      if (status != Status.SUCCESS) {
        return status;
      }
      left -= part;
    }
    return Status.SUCCESS;
  }

  private int append(final long host, final long lengthBytes) {
    if (host == end && count > 0) {
      final long last = address + (long) (count - 1) * ENTRY_LENGTH + LENGTH_OFFSET;
      Mem.putLong(last, Mem.getLong(last) + lengthBytes);
    } else if (count == capacity) {
      return FULL;
    } else {
      final long entry = address + (long) count * ENTRY_LENGTH;
      Mem.putLong(entry, host);
      Mem.putLong(entry + LENGTH_OFFSET, lengthBytes);
      count++;
    }
    end = host + lengthBytes;
    return Status.SUCCESS;
  }
}

package io.virtnvme.slave.bdev;

import io.virtnvme.ipc.memory.Mem;

/**
 * Arrays of {@code struct iovec} in memory. Reactor threads; no allocation.
 *
 * <pre>
 *  0               8              16
 *  +---------------+---------------+
 *  |  host address | length, bytes |
 *  +---------------+---------------+
 * </pre>
 */
final class Iovecs {
  static final int ADDRESS_OFFSET = 0;
  static final int LENGTH_OFFSET = ADDRESS_OFFSET + Long.BYTES;
  static final int ENTRY_LENGTH = LENGTH_OFFSET + Long.BYTES;

  private Iovecs() {}

  static long at(final long iovecs, final int index) {
    return iovecs + (long) index * ENTRY_LENGTH;
  }

  static long address(final long iovec) {
    return Mem.getLong(iovec + ADDRESS_OFFSET);
  }

  static long length(final long iovec) {
    return Mem.getLong(iovec + LENGTH_OFFSET);
  }

  static void put(final long iovec, final long address, final long lengthBytes) {
    Mem.putLong(iovec + ADDRESS_OFFSET, address);
    Mem.putLong(iovec + LENGTH_OFFSET, lengthBytes);
  }

  /** Sum of the lengths, or -1 when one is negative or the sum overflows. */
  static long sum(final long iovecs, final int count) {
    long sum = 0;
    for (int i = 0; i < count; i++) {
      final long length = length(at(iovecs, i));
      if (length < 0 || sum + length < 0) {
        return -1;
      }
      sum += length;
    }
    return sum;
  }

  /** True when no address has a bit of the one mask and no length a bit of the other. */
  static boolean aligned(
      final long iovecs, final int count, final long addressMask, final long lengthMask) {
    long addressBits = 0;
    long lengthBits = 0;
    for (int i = 0; i < count; i++) {
      final long iovec = at(iovecs, i);
      addressBits |= address(iovec);
      lengthBits |= length(iovec);
    }
    return (addressBits & addressMask) == 0 && (lengthBits & lengthMask) == 0;
  }

  /**
   * Copies between what iovecs name, from a place in them on, and one buffer.
   *
   * @param first iovec of the place
   * @param usedBytes of that one which lie before the place
   * @param gather from the iovecs to the buffer, else the other way
   */
  static void copy(
      final long iovecs,
      final int count,
      final int first,
      final long usedBytes,
      final long buffer,
      final long lengthBytes,
      final boolean gather) {
    long used = usedBytes;
    long done = 0;
    for (int i = first; done < lengthBytes && i < count; i++) {
      final long iovec = at(iovecs, i);
      final long length = Math.min(length(iovec) - used, lengthBytes - done);
      final long address = address(iovec) + used;
      if (gather) {
        Mem.copy(address, buffer + done, length);
      } else {
        Mem.copy(buffer + done, address, length);
      }
      done += length;
      used = 0;
    }
  }

  static boolean inRange(
      final long offsetBytes, final long lengthBytes, final long deviceLengthBytes) {
    return offsetBytes >= 0 && lengthBytes >= 0 && lengthBytes <= deviceLengthBytes - offsetBytes;
  }
}

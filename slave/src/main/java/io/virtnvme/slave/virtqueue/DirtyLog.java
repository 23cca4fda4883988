package io.virtnvme.slave.virtqueue;

import io.virtnvme.ipc.memory.Mem;

/**
 * The bitmap of VHOST_USER_SET_LOG_BASE: one bit per guest page of 4 KiB that was written. The
 * front-end clears bits while we set them, so they are set atomically. Any thread; does not
 * allocate.
 */
public final class DirtyLog {
  /** Bytes of guest memory behind one bit, as the protocol has it. */
  public static final int PAGE_BYTES = 4096;

  private static final int PAGE_SHIFT = 12;

  private final long address;
  private final long pageCount;

  /**
   * Works on a mapped bitmap.
   *
   * @param address host address of its first byte
   * @param lengthBytes its length; pages beyond are not logged
   */
  public DirtyLog(final long address, final long lengthBytes) {
    this.address = address;
    this.pageCount = Math.max(0, Math.min(lengthBytes, Long.MAX_VALUE >>> 3)) << 3;
  }

  /**
   * Marks the pages of a range that was written. Call it after the write and before the guest hears
   * of it.
   *
   * @param guestAddress first byte; any value
   * @param lengthBytes nothing happens unless positive
   */
  public void mark(final long guestAddress, final long lengthBytes) {
    if (lengthBytes <= 0) {
      return;
    }
    final long first = guestAddress >>> PAGE_SHIFT;
    final long last = (guestAddress + lengthBytes - 1) >>> PAGE_SHIFT;
    for (long page = first; page <= last && page < pageCount; page++) {
      Mem.getAndBitwiseOrByte(address + (page >>> 3), (byte) (1 << (page & 7)));
    }
  }
}

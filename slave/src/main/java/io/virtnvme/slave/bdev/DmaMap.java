package io.virtnvme.slave.bdev;

/** Where a device sees memory of this process. Any reactor; asked for each use. */
@FunctionalInterface
public interface DmaMap {
  /** The device does not see all of the range, or not in one piece. */
  long UNMAPPED = -1;

  /**
   * The I/O virtual address of a range, which has the same offset in its page as the host address;
   * or {@link #UNMAPPED}.
   */
  long iova(long hostAddress, long lengthBytes);
}

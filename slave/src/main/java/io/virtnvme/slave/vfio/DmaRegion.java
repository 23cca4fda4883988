package io.virtnvme.slave.vfio;

/**
 * A piece of guest memory that the front-end told of.
 *
 * @param address where the device sees it
 * @param lengthBytes at least 1; address plus length does not exceed 2^64
 * @param fileOffsetBytes where it begins in its file; 0 without one
 * @param slot of its descriptor, or {@link #NO_SLOT}: it cannot be reached
 * @param readable the device may read it
 * @param writable the device may write it
 */
record DmaRegion(
    long address,
    long lengthBytes,
    long fileOffsetBytes,
    int slot,
    boolean readable,
    boolean writable) {
  static final int NO_SLOT = -1;

  boolean isMapped() {
    return slot != NO_SLOT;
  }

  /** Whether a range, which does not run over 2^64, has an address in common with this one. */
  boolean overlaps(final long otherAddress, final long otherLengthBytes) {
    return Long.compareUnsigned(otherAddress - address, lengthBytes) < 0
        || Long.compareUnsigned(address - otherAddress, otherLengthBytes) < 0;
  }
}

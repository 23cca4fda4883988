package io.virtnvme.slave.session;

/**
 * A memory region as the front-end described it; addresses and lengths are checked by {@link
 * SessionRules}.
 *
 * @param guestAddress where the guest sees it
 * @param userAddress where the front-end sees it
 * @param lengthBytes its length
 * @param fileOffsetBytes where it begins in its file
 */
record RegionState(long guestAddress, long userAddress, long lengthBytes, long fileOffsetBytes) {
  /** REM_MEM_REG names a region by these three; its mmap offset is ignored. */
  boolean isSamePlace(final RegionState other) {
    return guestAddress == other.guestAddress
        && userAddress == other.userAddress
        && lengthBytes == other.lengthBytes;
  }

  /**
   * Whether they share a guest address; both must not wrap. User addresses may: a front-end can
   * show the guest the same memory twice.
   */
  boolean overlaps(final RegionState other) {
    return Long.compareUnsigned(other.guestAddress - guestAddress, lengthBytes) < 0
        || Long.compareUnsigned(guestAddress - other.guestAddress, other.lengthBytes) < 0;
  }

  @Override
  public String toString() {
    return "guest address=0x"
        + Long.toHexString(guestAddress)
        + " user address=0x"
        + Long.toHexString(userAddress)
        + " length="
        + Long.toUnsignedString(lengthBytes)
        + " mmap offset="
        + Long.toUnsignedString(fileOffsetBytes);
  }
}

package io.virtnvme.ipc.sys;

/** Memory pages of this process's mappings. Any thread. */
public final class Pages {
  /** What {@link #residency} counts in, whatever the pages of a mapping are. */
  public static final int PAGE_BYTES = 4096;

  private static final int MADV_POPULATE_WRITE = 23;

  private Pages() {}

  /**
   * Brings the pages of a range into the page table, as stores to them would, so that a later
   * access takes no page fault. Pages that the file does not have yet are made. What is beyond the
   * file's end stays away, without a signal: guest memory may be shorter than its mapping.
   *
   * @return whether all of it is there now; false, and nothing done, on a kernel older than 5.14
   */
  public static boolean populate(final long address, final long lengthBytes) {
    final long first = address & -PAGE_BYTES;
    final long end = (address + lengthBytes + PAGE_BYTES - 1) & -PAGE_BYTES;
    return Libc.madvise(first, end - first, MADV_POPULATE_WRITE) == 0;
  }

  /**
   * Which pages of a mapping the file has in memory, whoever brought them there (mincore(2)). All
   * of them, says a kernel to a process that may not write the file; none of a file on hugetlbfs
   * that this process has not touched.
   *
   * @param address multiple of {@link #PAGE_BYTES}
   * @param vectorAddress receives a byte for each page, with bit 0 set for one that is there
   * @return false if a part of the range is not mapped
   */
  public static boolean residency(
      final long address, final long lengthBytes, final long vectorAddress) {
    return Libc.mincore(address, lengthBytes, vectorAddress) == 0;
  }
}

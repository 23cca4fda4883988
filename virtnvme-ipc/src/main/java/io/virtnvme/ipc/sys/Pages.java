package io.virtnvme.ipc.sys;

/** Memory pages of this process's mappings. Any thread. */
public final class Pages {
  /** What {@link #residency} counts in, whatever the pages of a mapping are. */
  public static final int PAGE_BYTES = 4096;

  /** Of x86-64, and of AArch64 with pages of 4 KiB. */
  public static final int HUGE_PAGE_BYTES = 2 << 20;

  private static final int MADV_POPULATE_WRITE = 23;
  private static final int MADV_COLLAPSE = 25;

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
   * Puts what a range of a file on tmpfs holds on huge pages, whatever the mount's options say
   * (madvise(2), MADV_COLLAPSE, Linux 6.1). Other processes see the same bytes.
   *
   * @param address where the range is mapped; a multiple of {@link #HUGE_PAGE_BYTES}, as are its
   *     offset in the file and its length. At least one page of each huge one must be in the file
   * @return false if the kernel does not know that, or has not so many huge pages; a part may be
   *     done
   */
  public static boolean collapse(final long address, final long lengthBytes) {
    return Libc.madvise(address, lengthBytes, MADV_COLLAPSE) == 0;
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

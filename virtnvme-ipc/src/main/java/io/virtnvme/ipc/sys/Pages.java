package io.virtnvme.ipc.sys;

/** Memory pages of this process's mappings. Any thread. */
public final class Pages {
  private static final int MADV_POPULATE_READ = 22;
  private static final long PAGE_BYTES = 4096;

  private Pages() {}

  /**
   * Brings the pages of a range into the page table, as reads of them would, so that a later access
   * takes no page fault. A page that is not there stays away, without a signal: guest memory may be
   * shorter than its mapping. A kernel older than 5.14 does nothing.
   */
  public static void populate(final long address, final long lengthBytes) {
    final long first = address & -PAGE_BYTES;
    final long end = (address + lengthBytes + PAGE_BYTES - 1) & -PAGE_BYTES;
    Libc.madvise(first, end - first, MADV_POPULATE_READ);
  }
}

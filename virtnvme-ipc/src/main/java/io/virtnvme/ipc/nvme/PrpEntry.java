package io.virtnvme.ipc.nvme;

/**
 * Physical region page entry, 64 bits (NVM Express base specification 2.0, 4.1.1), with the only
 * memory page size that is offered. The first entry of a command may have an offset in its page (a
 * multiple of 4, so bits 1:0 are 0), and so may the pointer to a list (a multiple of 8); every
 * other entry begins a page. The last entry of a list's page names the next page of the list when
 * there are more entries than fit.
 */
public final class PrpEntry {
  public static final int ENTRY_LENGTH = Long.BYTES;
  public static final int PAGE_SHIFT = 12;
  public static final int PAGE_BYTES = 1 << PAGE_SHIFT;
  public static final int OFFSET_MASK = PAGE_BYTES - 1;

  /** Entries of one page of a list. */
  public static final int ENTRIES_PER_PAGE = PAGE_BYTES / ENTRY_LENGTH;

  private PrpEntry() {}

  /** Offset in its page. */
  public static int offset(final long entry) {
    return (int) entry & OFFSET_MASK;
  }

  /** Bytes from the entry's address to the end of its page: 1..4096. */
  public static int bytesToPageEnd(final long entry) {
    return PAGE_BYTES - offset(entry);
  }
}

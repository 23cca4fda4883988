package io.virtnvme.ipc.segment;

import io.virtnvme.ipc.sys.Errno;
import io.virtnvme.ipc.sys.Fds;
import io.virtnvme.ipc.sys.Mapping;
import io.virtnvme.ipc.sys.Pages;
import io.virtnvme.ipc.sys.SysException;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;

/**
 * Huge pages for a file on tmpfs that nobody has stored to yet. A disk on them needs fewer entries
 * in page tables: fewer misses while it runs, and fewer first accesses for a successor.
 */
final class HugePages {
  /** One system call; a machine without room for so many huge pages is not asked again. */
  private static final long PIECE_BYTES = 64 << 20;

  private HugePages() {}

  /**
   * Makes whole huge pages between two offsets of a file, as far as the machine has them, and makes
   * the file as long as the last one needs. What is left out has no page yet: {@link Fds#allocate}
   * makes those.
   *
   * @param path of the file
   * @throws SysException with ENOSPC when tmpfs has no room for all of it
   */
  static void reserve(final int fd, final Path path, final long fromBytes, final long toBytes) {
    final long first = (fromBytes + Pages.HUGE_PAGE_BYTES - 1) & -(long) Pages.HUGE_PAGE_BYTES;
    final long end = toBytes & -(long) Pages.HUGE_PAGE_BYTES;
    if (first >= end) {
      return;
    }
    requireRoom(path, toBytes - fromBytes);
    Fds.truncate(fd, end);
    try (Mapping mapping = Mapping.map(fd, first, end - first)) {
      boolean more = true;
      for (long from = first; more && from < end; from += PIECE_BYTES) {
        final long lengthBytes = Math.min(PIECE_BYTES, end - from);
        for (long offset = 0; offset < lengthBytes; offset += Pages.HUGE_PAGE_BYTES) {
          // An empty one cannot be collapsed.
          Fds.allocate(fd, from + offset, Pages.PAGE_BYTES);
        }
        more = Pages.collapse(mapping.address() + from - first, lengthBytes);
      }
    }
  }

  /** Asked before: page by page, the host's memory would be gone before tmpfs is full. */
  private static void requireRoom(final Path path, final long lengthBytes) {
    final long usableBytes;
    try {
      usableBytes = Files.getFileStore(path).getUsableSpace();
    } catch (final IOException e) {
      // The allocation finds out.
      return;
    }
    if (usableBytes < lengthBytes) {
      throw new SysException(
          "room for " + lengthBytes + " bytes where " + usableBytes + " are free, for " + path,
          Errno.ENOSPC);
    }
  }
}

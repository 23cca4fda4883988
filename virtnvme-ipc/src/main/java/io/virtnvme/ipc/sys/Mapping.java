package io.virtnvme.ipc.sys;

/**
 * A shared mapping of a file or memfd. Whoever maps it closes it, once, when no thread can touch it
 * any more.
 *
 * <p>A long one begins at an address that is as far from a huge page's boundary as its offset in
 * the file is: only so can huge pages of the file be huge in the page table, too.
 */
public final class Mapping implements AutoCloseable {
  private static final int PROT_NONE = 0;
  private static final int PROT_READ = 1;
  private static final int PROT_WRITE = 2;
  private static final int MAP_SHARED = 1;
  private static final int MAP_PRIVATE = 2;
  private static final int MAP_FIXED = 0x10;
  private static final int MAP_ANONYMOUS = 0x20;
  private static final int MAP_NORESERVE = 0x4000;
  private static final int MAP_POPULATE = 0x8000;
  private static final int MADV_DONTDUMP = 16;

  private final long address;
  private final long lengthBytes;
  private boolean closed;

  private Mapping(final long address, final long lengthBytes) {
    this.address = address;
    this.lengthBytes = lengthBytes;
  }

  /**
   * Maps {@code lengthBytes} of {@code fd} from {@code offsetBytes} (a multiple of the page length)
   * for reading and writing.
   */
  public static Mapping map(final int fd, final long offsetBytes, final long lengthBytes) {
    return map(fd, offsetBytes, lengthBytes, PROT_READ | PROT_WRITE, MAP_SHARED);
  }

  /** The same, with every page already in the page table: no page fault later. */
  public static Mapping mapPopulated(final int fd, final long offsetBytes, final long lengthBytes) {
    return map(fd, offsetBytes, lengthBytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE);
  }

  public static Mapping mapReadOnly(final int fd, final long offsetBytes, final long lengthBytes) {
    return map(fd, offsetBytes, lengthBytes, PROT_READ, MAP_SHARED);
  }

  private static Mapping map(
      final int fd,
      final long offsetBytes,
      final long lengthBytes,
      final int protection,
      final int flags) {
    long address = mapAligned(fd, offsetBytes, lengthBytes, protection, flags);
    if (address < 0) {
      address = Libc.mmap(0, lengthBytes, protection, flags, fd, offsetBytes);
    }
    // MAP_FAILED is -1; no valid user address is negative.
    Sys.check(
        address, "mmap of " + lengthBytes + " bytes at offset " + offsetBytes + " of fd " + fd);
    return new Mapping(address, lengthBytes);
  }

  /**
   * The address, or a negative number: too short for huge pages, or they are larger than ours (1
   * GiB), or there is no room for the detour. Whatever fails, the plain way says why.
   */
  private static long mapAligned(
      final int fd,
      final long offsetBytes,
      final long lengthBytes,
      final int protection,
      final int flags) {
    if (lengthBytes < Pages.HUGE_PAGE_BYTES || offsetBytes % Pages.PAGE_BYTES != 0) {
      return -1;
    }
    final long pagesBytes = (lengthBytes + Pages.PAGE_BYTES - 1) & -Pages.PAGE_BYTES;
    final long spaceBytes = pagesBytes + Pages.HUGE_PAGE_BYTES;
    final long space =
        Libc.mmap(0, spaceBytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (space < 0) {
      return -1;
    }
    final long distance = (offsetBytes - space) & (Pages.HUGE_PAGE_BYTES - 1);
    final long address =
        Libc.mmap(space + distance, lengthBytes, protection, flags | MAP_FIXED, fd, offsetBytes);
    if (address < 0) {
      Sys.check(Libc.munmap(space, spaceBytes), "munmap of " + spaceBytes + " bytes");
      return -1;
    }
    if (distance > 0) {
      Sys.check(Libc.munmap(space, distance), "munmap of " + distance + " bytes");
    }
    final long end = address + pagesBytes;
    final long restBytes = space + spaceBytes - end;
    if (restBytes > 0) {
      Sys.check(Libc.munmap(end, restBytes), "munmap of " + restBytes + " bytes");
    }
    return address;
  }

  public long address() {
    return address;
  }

  public long lengthBytes() {
    return lengthBytes;
  }

  /** Keeps a guest's memory out of our core dumps. */
  public void adviseNoDump() {
    Libc.madvise(address, lengthBytes, MADV_DONTDUMP);
  }

  @Override
  public void close() {
    if (!closed) {
      closed = true;
      Sys.check(Libc.munmap(address, lengthBytes), "munmap of " + lengthBytes + " bytes");
    }
  }
}

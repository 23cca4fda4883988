package io.virtnvme.ipc.sys;

/**
 * A shared mapping of a file or memfd. Whoever maps it closes it, once, when no thread can touch it
 * any more.
 */
public final class Mapping implements AutoCloseable {
  private static final int PROT_READ = 1;
  private static final int PROT_WRITE = 2;
  private static final int MAP_SHARED = 1;
  private static final int MAP_POPULATE = 0x8000;
  private static final int MADV_HUGEPAGE = 14;
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
    final long address = Libc.mmap(0, lengthBytes, protection, flags, fd, offsetBytes);
    // MAP_FAILED is -1; no valid user address is negative.
    Sys.check(
        address, "mmap of " + lengthBytes + " bytes at offset " + offsetBytes + " of fd " + fd);
    return new Mapping(address, lengthBytes);
  }

  public long address() {
    return address;
  }

  public long lengthBytes() {
    return lengthBytes;
  }

  /** Asks for huge pages; a kernel that has none for this mapping ignores it. */
  public void adviseHugePages() {
    Libc.madvise(address, lengthBytes, MADV_HUGEPAGE);
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

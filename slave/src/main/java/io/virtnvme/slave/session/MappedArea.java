package io.virtnvme.slave.session;

import io.virtnvme.ipc.memory.MemoryRange;
import io.virtnvme.ipc.sys.Fds;
import io.virtnvme.ipc.sys.Mapping;
import io.virtnvme.ipc.sys.SysException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;

/**
 * A piece of a shared memory file, mapped. The descriptor belongs to the session. Control thread;
 * the mapping is read and written by reactors, so it ends only when they let go of it.
 */
public final class MappedArea {
  private static final int PAGE_BYTES_MIN = 4096;
  private static final int PAGE_BYTES_MAX = 1 << 30;

  private final Mapping mapping;
  private final int fd;
  private final long fileOffsetBytes;
  private final long lengthBytes;
  private final long address;
  private final boolean populatable;
  private final List<Runnable> beforeUnmap = new ArrayList<>(1);

  private MappedArea(
      final Mapping mapping,
      final int fd,
      final long fileOffsetBytes,
      final long lengthBytes,
      final long address,
      final boolean populatable) {
    this.mapping = mapping;
    this.fd = fd;
    this.fileOffsetBytes = fileOffsetBytes;
    this.lengthBytes = lengthBytes;
    this.address = address;
    this.populatable = populatable;
  }

  /**
   * Maps a range that {@link SessionRules} has checked. Throws {@link SessionException} if the file
   * is too short, of the wrong kind, or cannot be mapped.
   */
  public static MappedArea map(
      final int fd, final long fileOffsetBytes, final long lengthBytes, final String what) {
    return map(fd, fileOffsetBytes, lengthBytes, what, true);
  }

  /**
   * The same; a range that is not writable is mapped for reading only: a store ends the process.
   */
  public static MappedArea map(
      final int fd,
      final long fileOffsetBytes,
      final long lengthBytes,
      final String what,
      final boolean writable) {
    FdKinds.requireMemory(fd, what);
    final long fileBytes = Fds.length(fd);
    if (fileOffsetBytes + lengthBytes > fileBytes) {
      throw new SessionException(
          what
              + " runs over the end of its file: offset="
              + fileOffsetBytes
              + " length="
              + lengthBytes
              + " file length="
              + fileBytes);
    }
    return mapUnchecked(fd, fileOffsetBytes, lengthBytes, what, writable);
  }

  /**
   * The same for a range that was mapped once by this session's record: its file may have become
   * shorter since. Who touches what is missing meets a fault, as in the mapping before.
   */
  public static MappedArea mapAgain(
      final int fd,
      final long fileOffsetBytes,
      final long lengthBytes,
      final String what,
      final boolean writable) {
    FdKinds.requireMemory(fd, what);
    return mapUnchecked(fd, fileOffsetBytes, lengthBytes, what, writable);
  }

  private static MappedArea mapUnchecked(
      final int fd,
      final long fileOffsetBytes,
      final long lengthBytes,
      final String what,
      final boolean writable) {
    // Huge pages can only be mapped whole, and their file says how long they are.
    final long pageBytes = pageBytes(fd);
    final long begin = fileOffsetBytes & -pageBytes;
    final long end = (fileOffsetBytes + lengthBytes + pageBytes - 1) & -pageBytes;
    try {
      final Mapping mapping =
          writable
              ? Mapping.map(fd, begin, end - begin)
              : Mapping.mapReadOnly(fd, begin, end - begin);
      mapping.adviseNoDump();
      return new MappedArea(
          mapping,
          fd,
          fileOffsetBytes,
          lengthBytes,
          mapping.address() + (fileOffsetBytes - begin),
          writable && Files.isWritable(Path.of("/proc/self/fd/" + fd)));
    } catch (final SysException e) {
      throw new SessionException(what + " cannot be mapped: " + e.getMessage(), e);
    }
  }

  private static long pageBytes(final int fd) {
    final int preferred = Fds.preferredBytes(fd);
    return Integer.bitCount(preferred) == 1
            && preferred >= PAGE_BYTES_MIN
            && preferred <= PAGE_BYTES_MAX
        ? preferred
        : PAGE_BYTES_MIN;
  }

  /**
   * Whether this is already what mapping that range of that file would give. The other descriptor
   * must be known to be memory.
   */
  public boolean isSame(
      final int otherFd, final long otherOffsetBytes, final long otherLengthBytes) {
    return fileOffsetBytes == otherOffsetBytes
        && lengthBytes == otherLengthBytes
        && (fd == otherFd || Fds.isSameFile(fd, otherFd));
  }

  /** Host address of the first byte of the range. */
  public long address() {
    return address;
  }

  public long lengthBytes() {
    return lengthBytes;
  }

  /**
   * The range, if its pages may be entered into the page table before they are used: not if it is
   * mapped for reading only, nor if its file belongs to somebody who does not let us write it (only
   * our descriptor does): the kernel does not tell then which pages are in use.
   */
  public Optional<MemoryRange> populatable() {
    return populatable ? Optional.of(new MemoryRange(address, lengthBytes)) : Optional.empty();
  }

  public long fileOffsetBytes() {
    return fileOffsetBytes;
  }

  public int fd() {
    return fd;
  }

  /** Runs something before the range is unmapped: a device that reaches it must be told. */
  public void beforeUnmap(final Runnable task) {
    beforeUnmap.add(task);
  }

  /** No thread may touch the range any more. */
  public void unmap() {
    beforeUnmap.forEach(Runnable::run);
    mapping.close();
  }
}

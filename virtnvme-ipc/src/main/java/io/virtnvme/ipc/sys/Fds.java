package io.virtnvme.ipc.sys;

import io.virtnvme.ipc.memory.Mem;

/**
 * File descriptors: open, close, duplicate, size, lock. Every descriptor is made close-on-exec. Any
 * thread.
 */
public final class Fds {
  public static final int O_RDONLY = 0;
  public static final int O_RDWR = 2;
  public static final int O_CREAT = 0x40;
  public static final int O_EXCL = 0x80;
  public static final int O_DIRECT =
      System.getProperty("os.arch").equals("aarch64") ? 0x10000 : 0x4000;
  private static final int O_CLOEXEC = 0x80000;

  private static final int F_SETFL = 4;
  private static final int F_GETFL = 3;
  private static final int F_DUPFD_CLOEXEC = 1030;
  private static final int O_NONBLOCK = 0x800;

  private static final int STAT_BYTES = 144;
  private static final int STAT_INODE_OFFSET = 8;
  private static final int STAT_MODE_OFFSET =
      System.getProperty("os.arch").equals("aarch64") ? 16 : 24;
  private static final int STAT_SIZE_OFFSET = 48;
  private static final int STAT_BLOCK_BYTES_OFFSET = 56;
  private static final int S_IFMT = 0xF000;
  private static final int S_IFBLK = 0x6000;
  private static final int S_IFREG = 0x8000;
  private static final long BLKGETSIZE64 = 0x80081272L;
  private static final long BLKSSZGET = 0x1268L;

  private static final int LOCK_EXCLUSIVE = 2;
  private static final int LOCK_NON_BLOCKING = 4;
  private static final int LOCK_UNLOCK = 8;

  private Fds() {}

  /** Opens a file; throws {@link SysException} with the path in its text. */
  public static int open(final String path, final int flags, final int mode) {
    return Sys.check(Libc.open(path, flags | O_CLOEXEC, mode), "open " + path);
  }

  public static void close(final int fd) {
    if (fd >= 0) {
      Libc.close(fd);
    }
  }

  public static int duplicate(final int fd) {
    return Sys.check(Libc.fcntl(fd, F_DUPFD_CLOEXEC, 3), "dup of fd " + fd);
  }

  public static void setNonBlocking(final int fd, final boolean nonBlocking) {
    final int flags = Sys.check(Libc.fcntl(fd, F_GETFL, 0), "fcntl F_GETFL of fd " + fd);
    final int wanted = nonBlocking ? flags | O_NONBLOCK : flags & ~O_NONBLOCK;
    Sys.check(Libc.fcntl(fd, F_SETFL, wanted), "fcntl F_SETFL of fd " + fd);
  }

  public static void truncate(final int fd, final long lengthBytes) {
    Sys.check(Libc.ftruncate(fd, lengthBytes), "ftruncate to " + lengthBytes + " bytes");
  }

  /** Reserves the blocks, so that a full file system is an error here and not a SIGBUS later. */
  public static void allocate(final int fd, final long lengthBytes) {
    allocate(fd, 0, lengthBytes);
  }

  /** The same for a part of the file; all before it is left as it is. */
  public static void allocate(final int fd, final long offsetBytes, final long lengthBytes) {
    Sys.check(
        Libc.fallocate(fd, 0, offsetBytes, lengthBytes),
        "fallocate of " + lengthBytes + " bytes at offset " + offsetBytes);
  }

  /** Length in bytes of a regular file, memfd or block device. */
  public static long length(final int fd) {
    final long stat = Mem.allocate(STAT_BYTES);
    try {
      Sys.check(Libc.fstat(fd, stat), "fstat of fd " + fd);
      if ((Mem.getInt(stat + STAT_MODE_OFFSET) & S_IFMT) != S_IFBLK) {
        return Mem.getLong(stat + STAT_SIZE_OFFSET);
      }
      Sys.check(Libc.ioctl(fd, BLKGETSIZE64, stat), "BLKGETSIZE64 of fd " + fd);
      return Mem.getLong(stat);
    } finally {
      Mem.free(stat);
    }
  }

  public static boolean isBlockDevice(final int fd) {
    return (mode(fd) & S_IFMT) == S_IFBLK;
  }

  public static boolean isRegularFile(final int fd) {
    return (mode(fd) & S_IFMT) == S_IFREG;
  }

  /** Whether both descriptors mean the same file: same file system and inode. */
  public static boolean isSameFile(final int fd, final int otherFd) {
    final long stats = Mem.allocate(2 * STAT_BYTES);
    try {
      final long other = stats + STAT_BYTES;
      Sys.check(Libc.fstat(fd, stats), "fstat of fd " + fd);
      Sys.check(Libc.fstat(otherFd, other), "fstat of fd " + otherFd);
      return Mem.getLong(stats) == Mem.getLong(other)
          && Mem.getLong(stats + STAT_INODE_OFFSET) == Mem.getLong(other + STAT_INODE_OFFSET);
    } finally {
      Mem.free(stats);
    }
  }

  /** Preferred I/O length of a file; of a file on hugetlbfs that is the length of its pages. */
  public static int preferredBytes(final int fd) {
    final long stat = Mem.allocate(STAT_BYTES);
    try {
      Sys.check(Libc.fstat(fd, stat), "fstat of fd " + fd);
      return Mem.getInt(stat + STAT_BLOCK_BYTES_OFFSET);
    } finally {
      Mem.free(stat);
    }
  }

  /** Logical block length in bytes of a block device. */
  public static int logicalBlockBytes(final int blockDeviceFd) {
    final long value = Mem.allocate(Long.BYTES);
    try {
      Sys.check(Libc.ioctl(blockDeviceFd, BLKSSZGET, value), "BLKSSZGET of fd " + blockDeviceFd);
      return Mem.getInt(value);
    } finally {
      Mem.free(value);
    }
  }

  static long inode(final int fd) {
    final long stat = Mem.allocate(STAT_BYTES);
    try {
      Sys.check(Libc.fstat(fd, stat), "fstat of fd " + fd);
      return Mem.getLong(stat + STAT_INODE_OFFSET);
    } finally {
      Mem.free(stat);
    }
  }

  private static int mode(final int fd) {
    final long stat = Mem.allocate(STAT_BYTES);
    try {
      Sys.check(Libc.fstat(fd, stat), "fstat of fd " + fd);
      return Mem.getInt(stat + STAT_MODE_OFFSET);
    } finally {
      Mem.free(stat);
    }
  }

  /** Bytes read, or a negative error number. */
  public static long read(final int fd, final long address, final long lengthBytes) {
    return Sys.orErrno(Libc.read(fd, address, lengthBytes));
  }

  /** Bytes written, or a negative error number. */
  public static long write(final int fd, final long address, final long lengthBytes) {
    return Sys.orErrno(Libc.write(fd, address, lengthBytes));
  }

  /** Bytes read at an offset, or a negative error number. */
  public static long pread(
      final int fd, final long address, final long lengthBytes, final long offsetBytes) {
    return Sys.orErrno(Libc.pread(fd, address, lengthBytes, offsetBytes));
  }

  /** Bytes written at an offset, or a negative error number. */
  public static long pwrite(
      final int fd, final long address, final long lengthBytes, final long offsetBytes) {
    return Sys.orErrno(Libc.pwrite(fd, address, lengthBytes, offsetBytes));
  }

  /**
   * Takes {@code flock(LOCK_EX)} on the open file description if nobody holds it. The kernel frees
   * it when the last reference to that description is gone, in-flight io_uring requests of a dead
   * process included: this is what makes it a fence.
   */
  public static boolean tryLock(final int fd) {
    final int result = Sys.orErrno(Libc.flock(fd, LOCK_EXCLUSIVE | LOCK_NON_BLOCKING));
    if (result == -Errno.EAGAIN) {
      return false;
    }
    if (result < 0) {
      throw new SysException("flock of fd " + fd, -result);
    }
    return true;
  }

  /** Blocks until the lock of {@link #tryLock} is ours. */
  public static void lock(final int fd) {
    int result;
    do {
      result = Sys.orErrno(Libc.flock(fd, LOCK_EXCLUSIVE));
    } while (result == -Errno.EINTR);
    if (result < 0) {
      throw new SysException("flock of fd " + fd, -result);
    }
  }

  public static void unlock(final int fd) {
    Sys.check(Libc.flock(fd, LOCK_UNLOCK), "unlock of fd " + fd);
  }

  /**
   * Waits until {@code fd} is readable (or hung up); false when {@code timeoutMs} passed first. -1
   * waits without limit.
   */
  public static boolean awaitReadable(final int fd, final int timeoutMs) {
    final long pollFd = Mem.allocate(Long.BYTES);
    try {
      Mem.putInt(pollFd, fd);
      Mem.putShort(pollFd + Integer.BYTES, (short) 1);
      final int result = Sys.orErrno(Libc.poll(pollFd, 1, timeoutMs));
      if (result < 0 && result != -Errno.EINTR) {
        throw new SysException("poll of fd " + fd, -result);
      }
      return result > 0;
    } finally {
      Mem.free(pollFd);
    }
  }
}

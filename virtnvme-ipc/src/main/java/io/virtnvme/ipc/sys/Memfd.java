package io.virtnvme.ipc.sys;

/** Anonymous shared memory files with seals. Any thread. */
public final class Memfd {
  private static final int MFD_CLOEXEC = 1;
  private static final int MFD_ALLOW_SEALING = 2;
  private static final int MFD_HUGETLB = 4;
  private static final int MFD_HUGE_2MB = 21 << 26;
  private static final int F_ADD_SEALS = 1033;
  private static final int F_GET_SEALS = 1034;
  private static final int F_SEAL_SEAL = 1;
  public static final int F_SEAL_SHRINK = 2;
  public static final int F_SEAL_GROW = 4;

  private Memfd() {}

  /**
   * Creates a zeroed memfd of fixed length that nobody who gets it can cut short; the caller closes
   * it.
   */
  public static int createSealed(final String name, final long lengthBytes) {
    final int fd = create(name, lengthBytes);
    seal(fd, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL);
    return fd;
  }

  /**
   * Adds seals to a memfd; they stay for its life.
   *
   * @param seals any of {@code F_SEAL_*}
   * @throws SysException EPERM when it was sealed against more seals
   */
  public static void seal(final int fd, final int seals) {
    Sys.check(Libc.fcntl(fd, F_ADD_SEALS, seals), "F_ADD_SEALS");
  }

  /** Creates a memfd without seals; the caller closes it. */
  public static int create(final String name, final long lengthBytes) {
    final int fd =
        Sys.check(Libc.memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING), "memfd_create " + name);
    Fds.truncate(fd, lengthBytes);
    return fd;
  }

  /**
   * Creates a memfd on 2 MiB pages of the host's pool; the caller closes it.
   *
   * @param lengthBytes a multiple of 2 MiB; mapping it fails with ENOMEM when the pool has too few
   */
  public static int createHuge(final String name, final long lengthBytes) {
    final int fd =
        Sys.check(
            Libc.memfd_create(name, MFD_CLOEXEC | MFD_HUGETLB | MFD_HUGE_2MB),
            "memfd_create on huge pages " + name);
    Fds.truncate(fd, lengthBytes);
    return fd;
  }

  /** The seals of a memfd, 0 for any other file. */
  public static int seals(final int fd) {
    return Math.max(0, Libc.fcntl(fd, F_GET_SEALS, 0));
  }

  /**
   * Whether a descriptor is memory: a memfd, or a file on tmpfs or hugetlbfs. A page fault on
   * anything else would wait for a disk, a network, or a hostile file system. Never blocks.
   */
  public static boolean isSharedMemory(final int fd) {
    return Libc.fcntl(fd, F_GET_SEALS, 0) >= 0;
  }
}

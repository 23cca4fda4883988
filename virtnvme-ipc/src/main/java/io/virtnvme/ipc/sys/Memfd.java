package io.virtnvme.ipc.sys;

/** Anonymous shared memory files with seals. Any thread. */
public final class Memfd {
  private static final int MFD_CLOEXEC = 1;
  private static final int MFD_ALLOW_SEALING = 2;
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
    Sys.check(
        Libc.fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL),
        "F_ADD_SEALS on " + name);
    return fd;
  }

  /** Creates a memfd without seals; the caller closes it. */
  public static int create(final String name, final long lengthBytes) {
    final int fd =
        Sys.check(Libc.memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING), "memfd_create " + name);
    Fds.truncate(fd, lengthBytes);
    return fd;
  }

  /** The seals of a memfd, 0 for any other file. */
  public static int seals(final int fd) {
    return Math.max(0, Libc.fcntl(fd, F_GET_SEALS, 0));
  }
}

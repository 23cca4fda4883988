package io.virtnvme.slave.session;

import io.virtnvme.ipc.sys.Fds;
import io.virtnvme.ipc.sys.Memfd;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;

/**
 * Checks what kind of descriptor a front-end sent. None of the checks asks the file itself, so a
 * file that never answers (a hostile FUSE, a dead NFS) cannot hold up the caller. Control thread.
 */
public final class FdKinds {
  private FdKinds() {}

  /**
   * An eventfd or a pipe, made non-blocking: a front-end could fill it to make our signal wait for
   * ever. Other descriptors could block anyway, or keep the data written to them.
   */
  public static void requireEvent(final int fd, final String what) {
    final String target = target(fd);
    if (!target.equals("anon_inode:[eventfd]") && !target.startsWith("pipe:[")) {
      throw new SessionException(
          what + " must be an eventfd or a pipe, but the descriptor is " + target);
    }
    Fds.setNonBlocking(fd, true);
  }

  /** A socket, made non-blocking: a front-end that does not read from it must not hold us up. */
  static void requireSocket(final int fd, final String what) {
    final String target = target(fd);
    if (!target.startsWith("socket:[")) {
      throw new SessionException(what + " must be a socket, but the descriptor is " + target);
    }
    Fds.setNonBlocking(fd, true);
  }

  /** Shared memory: a page fault on another file would stop the reactor until a disk has read. */
  public static void requireMemory(final int fd, final String what) {
    if (!Memfd.isSharedMemory(fd)) {
      throw new SessionException(
          what
              + " must be shared memory (a memfd, or a file on tmpfs or hugetlbfs), but the"
              + " descriptor is "
              + target(fd));
    }
  }

  /** What the kernel calls it: {@code socket:[n]}, {@code anon_inode:[eventfd]}, a path. */
  private static String target(final int fd) {
    try {
      return Files.readSymbolicLink(Path.of("/proc/self/fd/" + fd)).toString();
    } catch (final IOException e) {
      throw new SessionException("descriptor cannot be examined: " + e, e);
    }
  }
}

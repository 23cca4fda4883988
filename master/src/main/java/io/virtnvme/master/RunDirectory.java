package io.virtnvme.master;

import io.virtnvme.ipc.segment.BootId;
import io.virtnvme.ipc.segment.SegmentDirectory;
import io.virtnvme.ipc.sys.Fds;
import io.virtnvme.ipc.sys.LockHolder;
import io.virtnvme.ipc.sys.SysException;
import io.virtnvme.ipc.sys.UnixSocket;
import io.virtnvme.master.relay.Listener;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.DirectoryStream;
import java.nio.file.Files;
import java.nio.file.LinkOption;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.nio.file.attribute.PosixFilePermissions;
import java.security.SecureRandom;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * The run directory and the segment directory of one instance, locked by this process. Whatever is
 * found there is a dead master's or a living slave's; nothing is touched before the lock is ours.
 */
final class RunDirectory implements AutoCloseable {
  private static final Logger LOG = LoggerFactory.getLogger(RunDirectory.class);
  private static final String SEAT_PREFIX = "seat-";
  private static final String SESSION_PREFIX = "session-";
  private static final String DIRTY_PREFIX = "dirty-";

  private final Path path;
  private final int lockFd;
  private final SegmentDirectory segments;

  private RunDirectory(final Path path, final int lockFd, final SegmentDirectory segments) {
    this.path = path;
    this.lockFd = lockFd;
    this.segments = segments;
  }

  /**
   * Makes what is missing and takes the lock.
   *
   * @throws StartRefusedException when another master runs there, or something cannot be made
   */
  static RunDirectory open(final Path path) {
    checkLength(path);
    makeDirectory(path, "rwx------");
    final int lockFd = lock(path.resolve("lock"));
    try {
      makeDirectory(path.resolve("vhost"), "rwxr-x---");
      makeDirectory(path.resolve("virtnvme"), "rwx------");
      makeDirectory(path.resolve("log"), "rwx------");
      final SegmentDirectory segments = SegmentDirectory.of(instance(path.resolve("instance")));
      cleanAfterBoot(path.resolve("boot"), segments);
      makeSegmentDirectory(segments);
      return new RunDirectory(path, lockFd, segments);
    } catch (final IOException | RuntimeException e) {
      Fds.close(lockFd);
      throw e instanceof StartRefusedException refused
          ? refused
          : new StartRefusedException(
              "the run directory " + path + " cannot be used: " + e.getMessage(), e);
    }
  }

  /** Before anything is made: what a refused start made would have to be removed again. */
  private static void checkLength(final Path path) {
    final Path longest = Listener.fresh(path.resolve("slaves.sock"));
    if (!Listener.fits(path.resolve("slaves.sock"))) {
      throw new StartRefusedException(
          "the run directory's name is too long: a socket's path has at most "
              + UnixSocket.PATH_BYTES_MAX
              + " bytes, and "
              + longest
              + " must fit; choose a shorter --run-dir");
    }
  }

  private static void makeDirectory(final Path directory, final String permissions) {
    try {
      if (!Files.isDirectory(directory)) {
        Files.createDirectories(
            directory,
            PosixFilePermissions.asFileAttribute(PosixFilePermissions.fromString(permissions)));
      }
    } catch (final IOException e) {
      throw new StartRefusedException(
          "the directory "
              + directory
              + " cannot be made: "
              + e
              + "; choose another one with --run-dir, or run as a user who may",
          e);
    }
  }

  private static int lock(final Path file) {
    final int fd;
    try {
      fd = Fds.open(file.toString(), Fds.O_RDWR | Fds.O_CREAT, 0600);
    } catch (final SysException e) {
      throw new StartRefusedException(
          "no lock can be taken: " + e.getMessage() + "; check who owns " + file.getParent(), e);
    }
    if (!Fds.tryLock(fd)) {
      final String holder = LockHolder.describe(fd);
      Fds.close(fd);
      throw new StartRefusedException(
          "another master runs on "
              + file.getParent()
              + ": "
              + holder
              + "; stop it, or choose another --run-dir");
    }
    return fd;
  }

  private static long instance(final Path file) throws IOException {
    try {
      final String text = Files.readString(file).trim();
      return Long.parseUnsignedLong(text, 16);
    } catch (final NoSuchFileException e) {
      long id = new SecureRandom().nextLong();
      while (id == 0) {
        id = new SecureRandom().nextLong();
      }
      replace(file, Long.toHexString(id) + "\n");
      return id;
    } catch (final NumberFormatException e) {
      throw new StartRefusedException(
          file + " holds no instance id: " + e.getMessage() + "; restore it or remove it", e);
    }
  }

  private static void replace(final Path file, final String text) throws IOException {
    final Path fresh = file.resolveSibling("." + file.getFileName() + ".new");
    Files.writeString(fresh, text, StandardCharsets.US_ASCII);
    Files.move(fresh, file, StandardCopyOption.ATOMIC_MOVE, StandardCopyOption.REPLACE_EXISTING);
  }

  /** After a boot the guests are gone, and what segments say about them is never replayed. */
  private static void cleanAfterBoot(final Path file, final SegmentDirectory segments)
      throws IOException {
    final String now = BootId.current().toString();
    final String before = Files.exists(file) ? Files.readString(file).trim() : now;
    if (!before.equals(now) && Files.isDirectory(segments.path())) {
      LOG.warn(
          "the host was booted since the last run: removing the segments in {}", segments.path());
      deleteAll(segments.path());
    }
    replace(file, now + "\n");
  }

  private static void makeSegmentDirectory(final SegmentDirectory segments) {
    try {
      segments.create();
    } catch (final IOException e) {
      throw new StartRefusedException(
          "the segment directory "
              + segments.path()
              + " cannot be made: "
              + e
              + "; make /dev/shm a tmpfs that this user may write to",
          e);
    }
  }

  private static void deleteAll(final Path directory) throws IOException {
    try (DirectoryStream<Path> files = Files.newDirectoryStream(directory)) {
      for (final Path file : files) {
        delete(file);
      }
    }
  }

  /** Removes a file, or the folder that a standby left which was killed in its warm-up. */
  private static void delete(final Path file) throws IOException {
    if (Files.isDirectory(file, LinkOption.NOFOLLOW_LINKS)) {
      deleteAll(file);
    }
    Files.delete(file);
  }

  Path path() {
    return path;
  }

  SegmentDirectory segments() {
    return segments;
  }

  /**
   * Removes what only a running instance needs.
   *
   * @param keepMemDisks keep the memory disks, and the instance id by which they are found again
   */
  void clean(final boolean keepMemDisks) {
    try (DirectoryStream<Path> files = Files.newDirectoryStream(segments.path())) {
      for (final Path file : files) {
        final String name = file.getFileName().toString();
        // Of marks, too: who knows what happens to a file while nobody serves it.
        if (!keepMemDisks
            || name.startsWith(SEAT_PREFIX)
            || name.startsWith(SESSION_PREFIX)
            || name.startsWith(DIRTY_PREFIX)) {
          delete(file);
        }
      }
      if (!keepMemDisks) {
        Files.delete(segments.path());
        Files.deleteIfExists(path.resolve("instance"));
      }
    } catch (final IOException e) {
      LOG.warn("not everything was removed: {}", e.toString());
    }
  }

  @Override
  public void close() {
    Fds.close(lockFd);
  }
}

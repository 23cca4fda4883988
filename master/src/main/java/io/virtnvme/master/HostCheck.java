package io.virtnvme.master;

import io.virtnvme.ipc.segment.SegmentDirectory;
import io.virtnvme.ipc.sys.Errno;
import io.virtnvme.ipc.sys.Fds;
import io.virtnvme.ipc.sys.IoUring;
import io.virtnvme.ipc.sys.Memfd;
import io.virtnvme.ipc.sys.Processes;
import io.virtnvme.ipc.sys.SysException;
import io.virtnvme.ipc.sys.UnixSocket;
import java.io.IOException;
import java.nio.file.Files;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Tries what the kernel must have, so that a missing piece is a sentence now and no riddle later.
 */
final class HostCheck {
  private static final Logger LOG = LoggerFactory.getLogger(HostCheck.class);
  private static final long SPACE_BYTES_MIN = 1024 * 1024;
  private static final int PROBE_ENTRIES = 4;

  private HostCheck() {}

  /** Throws {@link StartRefusedException} for the first thing that is missing. */
  static void checkKernel() {
    try {
      Fds.close(Memfd.createSealed("virtnvme-check", 4096));
    } catch (final SysException e) {
      throw new StartRefusedException(
          "the kernel has no sealed memfd: " + e.getMessage() + "; use Linux 5.4 or later", e);
    }
    final int pidfd = Processes.pidfdOpen(Processes.currentPid());
    if (pidfd < 0) {
      throw new StartRefusedException(
          "the kernel has no pidfd: " + Errno.text(-pidfd) + "; use Linux 5.4 or later");
    }
    Fds.close(pidfd);
    final int[] pair = UnixSocket.streamPair();
    try {
      UnixSocket.peekFrom(pair[0], 0);
    } catch (final SysException e) {
      throw new StartRefusedException(
          "sockets cannot be peeked from an offset: " + e.getMessage() + "; use Linux 5.4 or later",
          e);
    } finally {
      Fds.close(pair[0]);
      Fds.close(pair[1]);
    }
    try (IoUring ring = new IoUring(PROBE_ENTRIES, PROBE_ENTRIES)) {
      LOG.debug("io_uring: {}", ring.mode());
    } catch (final SysException e) {
      LOG.warn("no io_uring ({}): files and block devices cannot be served", e.getMessage());
    }
  }

  /** Throws {@link StartRefusedException} when there is no room for segments. */
  static void checkSpace(final SegmentDirectory segments) {
    try {
      final long usableBytes = Files.getFileStore(segments.path()).getUsableSpace();
      if (usableBytes < SPACE_BYTES_MIN) {
        throw new StartRefusedException(
            segments.path()
                + " has room for "
                + usableBytes
                + " bytes, at least "
                + SPACE_BYTES_MIN
                + " are needed; free some of /dev/shm or enlarge it");
      }
    } catch (final IOException e) {
      throw new StartRefusedException(
          "the room in " + segments.path() + " is unknown: " + e.getMessage(), e);
    }
  }
}

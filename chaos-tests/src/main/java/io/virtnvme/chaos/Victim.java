package io.virtnvme.chaos;

import io.virtnvme.ipc.sys.Errno;
import io.virtnvme.ipc.sys.Fds;
import io.virtnvme.ipc.sys.Processes;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;

/** A process held by pidfd, so that a signal never reaches another one. Any thread. */
final class Victim implements AutoCloseable {
  private static final int DEATH_LIMIT_MS = 20_000;

  private final int pid;
  private final int pidfd;

  private Victim(final int pid, final int pidfd) {
    this.pid = pid;
    this.pidfd = pidfd;
  }

  /** Throws {@link IllegalStateException} when there is no such process any more. */
  static Victim of(final int pid) {
    final int pidfd = Processes.pidfdOpen(pid);
    if (pidfd < 0) {
      throw new IllegalStateException("process " + pid + ": " + Errno.text(-pidfd));
    }
    return new Victim(pid, pidfd);
  }

  void signal(final int signal) {
    final int result = Processes.signal(pidfd, signal);
    if (result < 0 && isAlive(pid)) {
      throw new IllegalStateException("signal to process " + pid + ": " + Errno.text(-result));
    }
  }

  /** Returns when the kernel has torn the process down. */
  void awaitDeath() {
    if (!Fds.awaitReadable(pidfd, DEATH_LIMIT_MS)) {
      throw new AssertionError("process " + pid + " does not die");
    }
  }

  /** False for a process that is gone or waits to be reaped. */
  static boolean isAlive(final int pid) {
    try {
      return Files.readAllBytes(Path.of("/proc", Integer.toString(pid), "cmdline")).length > 0;
    } catch (final IOException e) {
      return false;
    }
  }

  /** SIGKILL, and back when it is dead. */
  static void kill(final int pid) {
    try (Victim victim = of(pid)) {
      victim.signal(Processes.SIGKILL);
      victim.awaitDeath();
    }
  }

  @Override
  public void close() {
    Fds.close(pidfd);
  }
}

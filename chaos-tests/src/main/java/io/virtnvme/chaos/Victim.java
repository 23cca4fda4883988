package io.virtnvme.chaos;

import io.virtnvme.ipc.sys.Errno;
import io.virtnvme.ipc.sys.Fds;
import io.virtnvme.ipc.sys.Processes;

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
    if (result < 0 && Processes.isAlive(pid)) {
      throw new IllegalStateException("signal to process " + pid + ": " + Errno.text(-result));
    }
  }

  /** Returns when the kernel has torn the process down. */
  void awaitDeath() {
    if (!Fds.awaitReadable(pidfd, DEATH_LIMIT_MS)) {
      throw new AssertionError("process " + pid + " does not die");
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

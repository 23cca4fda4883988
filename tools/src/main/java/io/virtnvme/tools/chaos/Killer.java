package io.virtnvme.tools.chaos;

import io.virtnvme.ipc.sys.Errno;
import io.virtnvme.ipc.sys.Fds;
import io.virtnvme.ipc.sys.Processes;
import io.virtnvme.ipc.sys.Threads;
import io.virtnvme.tools.CommandFailedException;
import java.util.concurrent.locks.LockSupport;

/**
 * Kills a process at a given instant from the core that the process runs on: on the client's core
 * it would hold up the client, the ring would run empty, and the kill would prove nothing.
 */
public final class Killer {
  /** Above every reactor's. */
  private static final int FIFO_PRIORITY = 98;

  /** Enough for the JVM to compile what a kill runs. */
  private static final int PRACTICE_COUNT = 12_000;

  private static final int NO_SIGNAL = 0;
  private static final long AWAY_NS = 20_000_000;
  private static final long LOOK_NS = 200_000;

  private Killer() {}

  /**
   * Practises on this process, which feels nothing of it: a killing thread that is interpreted
   * keeps the reactor from its core for 0.2 ms before it dies, and that would count as a pause.
   */
  static void practise() {
    final int pid = Processes.currentPid();
    final int pidfd = Processes.pidfdOpen(pid);
    if (pidfd < 0) {
      throw new CommandFailedException("cannot open own process: " + Errno.text(-pidfd));
    }
    try {
      for (int i = 0; i < PRACTICE_COUNT; i++) {
        signal(pidfd, System.nanoTime() + 1, NO_SIGNAL, pid);
      }
    } finally {
      Fds.close(pidfd);
    }
  }

  /**
   * Sends SIGKILL by pidfd.
   *
   * @param core where the killing thread runs, -1 for anywhere
   * @param delayNs from now
   * @return when the signal was sent, CLOCK_MONOTONIC
   */
  public static long kill(final int pid, final int core, final long delayNs) {
    final long atNs = System.nanoTime() + delayNs;
    final int pidfd = Processes.pidfdOpen(pid);
    if (pidfd < 0) {
      throw new CommandFailedException("cannot kill slave " + pid + ": " + Errno.text(-pidfd));
    }
    try {
      final Shot shot = new Shot(pid, pidfd, core, atNs);
      shot.start();
      long leftNs = delayNs;
      while (shot.sentNs == 0 && shot.failure == null) {
        // Not woken by the other thread: that would take its core from the dying process.
        LockSupport.parkNanos(Math.max(leftNs, LOOK_NS));
        leftNs = atNs - System.nanoTime();
      }
      if (shot.failure != null) {
        throw new CommandFailedException(shot.failure);
      }
      return shot.sentNs;
    } finally {
      Fds.close(pidfd);
    }
  }

  /** The thread that kills. */
  private static final class Shot extends Thread {
    private final int pid;
    private final int pidfd;
    private final int core;
    private final long atNs;
    private volatile long sentNs;
    private volatile String failure;

    Shot(final int pid, final int pidfd, final int core, final long atNs) {
      super("killer");
      setDaemon(true);
      this.pid = pid;
      this.pidfd = pidfd;
      this.core = core;
      this.atNs = atNs;
    }

    @Override
    public void run() {
      try {
        if (core >= 0) {
          Threads.pinTo(core);
          // Else the scheduler lets this thread run when the slave happens to sleep, and a kill
          // never finds it at work. Not permitted to everybody; then kills are less random, and
          // still kills.
          Threads.raiseToFifo(FIFO_PRIORITY);
        }
        sentNs = signal(pidfd, atNs, Processes.SIGKILL, pid);
        // The core belongs to the dying process and its successor now.
        LockSupport.parkNanos(AWAY_NS);
        Threads.dropToNormal();
      } catch (final Throwable t) {
        // Of whatever kind: somebody waits for this thread's word.
        failure = "a kill of process " + pid + " failed: " + t.getMessage();
      }
    }
  }

  private static long signal(final int pidfd, final long atNs, final int signal, final int pid) {
    long leftNs = atNs - System.nanoTime();
    while (leftNs > 0) {
      LockSupport.parkNanos(leftNs);
      leftNs = atNs - System.nanoTime();
    }
    final long sentNs = System.nanoTime();
    final int result = Processes.signal(pidfd, signal);
    if (result < 0) {
      throw new CommandFailedException("cannot kill slave " + pid + ": " + Errno.text(-result));
    }
    return sentNs;
  }
}

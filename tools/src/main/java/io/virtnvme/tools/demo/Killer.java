package io.virtnvme.tools.demo;

import io.virtnvme.ipc.sys.Errno;
import io.virtnvme.ipc.sys.Fds;
import io.virtnvme.ipc.sys.Processes;
import io.virtnvme.ipc.sys.Threads;
import io.virtnvme.tools.CommandFailedException;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.FutureTask;
import java.util.concurrent.locks.LockSupport;

/**
 * Kills a process at a given instant from the core that the process runs on: on the client's core
 * it would hold up the client, the ring would run empty, and the kill would prove nothing.
 */
public final class Killer {
  /** Above every reactor's. */
  private static final int FIFO_PRIORITY = 98;

  private Killer() {}

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
      final FutureTask<Long> task = new FutureTask<>(() -> kill(pidfd, core, atNs, pid));
      final Thread thread = new Thread(task, "killer");
      thread.setDaemon(true);
      thread.start();
      return task.get();
    } catch (final ExecutionException e) {
      throw new CommandFailedException(e.getCause().getMessage(), e);
    } catch (final InterruptedException e) {
      Thread.currentThread().interrupt();
      throw new CommandFailedException("interrupted before a kill", e);
    } finally {
      Fds.close(pidfd);
    }
  }

  private static long kill(final int pidfd, final int core, final long atNs, final int pid) {
    if (core >= 0) {
      Threads.pinTo(core);
      // Else the scheduler lets this thread run when the slave happens to sleep, and a kill never
      // finds it at work. Not permitted to everybody; then kills are less random, and still kills.
      Threads.raiseToFifo(FIFO_PRIORITY);
    }
    long leftNs = atNs - System.nanoTime();
    while (leftNs > 0) {
      LockSupport.parkNanos(leftNs);
      leftNs = atNs - System.nanoTime();
    }
    final long sentNs = System.nanoTime();
    final int result = Processes.signal(pidfd, Processes.SIGKILL);
    // At once: what this thread does now must not hold up the successor.
    Threads.dropToNormal();
    if (result < 0) {
      throw new CommandFailedException("cannot kill slave " + pid + ": " + Errno.text(-result));
    }
    return sentNs;
  }
}

package io.virtnvme.tools.load;

import io.virtnvme.ipc.sys.Errno;
import io.virtnvme.ipc.sys.Fds;
import io.virtnvme.ipc.sys.Processes;

/**
 * Kills a slave from the thread that loads it, a random time after it was given work: so the kill
 * comes from another core than the victim's, as most do in the field, no third thread takes a core
 * from either side, and requests are in flight. The client's thread.
 */
final class Trigger implements AutoCloseable {
  /** Longer than a slave works on one burst of a load, so that some kills find it at rest. */
  private static final long DELAY_NS_MAX = 300_000;

  /** Enough for the JVM to compile what a kill runs. */
  private static final int PRACTICE_COUNT = 12_000;

  private static final int NO_SIGNAL = 0;
  private static final int NONE = -1;

  private int pid;
  private int pidfd = NONE;
  private boolean awaitsWork;
  private long atNs;

  /** Practises on this process, which feels nothing of it. */
  Trigger() {
    arm(Processes.currentPid());
    for (int i = 0; i < PRACTICE_COUNT; i++) {
      onWork(0, 0);
      if (isDue(1)) {
        send(NO_SIGNAL);
      }
      awaitsWork = true;
    }
    close();
  }

  boolean isArmed() {
    return pidfd != NONE;
  }

  /** Gets ready to kill this process. */
  void arm(final int victim) {
    final int opened = Processes.pidfdOpen(victim);
    if (opened < 0) {
      throw new LoadException("cannot kill process " + victim + ": " + Errno.text(-opened));
    }
    pid = victim;
    pidfd = opened;
    awaitsWork = true;
    atNs = 0;
  }

  /**
   * The slave was given work.
   *
   * @param random any number; not negative
   */
  void onWork(final long nowNs, final long random) {
    if (awaitsWork) {
      awaitsWork = false;
      atNs = nowNs + random % DELAY_NS_MAX;
    }
  }

  /** Whether the moment has come. */
  boolean isDue(final long nowNs) {
    return pidfd != NONE && !awaitsWork && nowNs - atNs >= 0;
  }

  /** Kills it. */
  void fire() {
    send(Processes.SIGKILL);
    close();
  }

  private void send(final int signal) {
    final int result = Processes.signal(pidfd, signal);
    if (result < 0) {
      throw new LoadException("cannot kill process " + pid + ": " + Errno.text(-result));
    }
  }

  @Override
  public void close() {
    if (pidfd != NONE) {
      Fds.close(pidfd);
      pidfd = NONE;
    }
  }
}

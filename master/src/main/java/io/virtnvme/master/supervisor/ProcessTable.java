package io.virtnvme.master.supervisor;

import java.io.IOException;
import java.nio.file.Path;
import java.util.List;

/** The operating system's processes, as far as the master needs them; tests bring their own. */
public interface ProcessTable {
  /** The option, followed by the run directory, that tells a slave's command line from others. */
  String SLAVE_OF = "--slave-of";

  /**
   * Starts a process in a session of its own, so that a terminal's Ctrl-C does not reach it.
   *
   * @param log takes what it prints
   * @return its process id
   */
  int start(List<String> command, Path log) throws IOException;

  /** Process id at the other end of a connected socket. */
  int peerPid(int socketFd);

  /** A descriptor that becomes readable when the process is dead, or a negative error number. */
  int open(int pid);

  /** Kills it; no error when it is dead. */
  void kill(int pidfd);

  /**
   * Buries a process that a program before this one, in the same process, may have started.
   * Default: nothing.
   */
  default void reap(final int pid) {}

  /** Whether this living process looks like a slave of that run directory. */
  boolean isSlave(int pid, Path runDirectory);

  /** What it does with the processor; {@link ProcessActivity#NONE} when it is gone. */
  default ProcessActivity activity(final int pid) {
    return ProcFiles.activity(pid);
  }

  /** What the operating system knows of it and its threads, for people to read. */
  default String describe(final int pid) {
    return ProcFiles.describe(pid);
  }

  /**
   * Asks it to print to its log what each of its threads does.
   *
   * @return false when it cannot answer: it is stopped, gone, or would not survive the question
   */
  default boolean askForThreads(final int pid, final int pidfd) {
    return ProcFiles.askForThreads(pid, pidfd);
  }

  /** Every living process that looks like a slave of that run directory. */
  List<Integer> slavesOf(Path runDirectory);
}

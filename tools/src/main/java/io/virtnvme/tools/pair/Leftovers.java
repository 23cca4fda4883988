package io.virtnvme.tools.pair;

import io.virtnvme.ipc.sys.Fds;
import io.virtnvme.ipc.sys.Processes;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.stream.Stream;

/** Ends and removes what belongs to a run directory that nobody else knows. Any thread. */
public final class Leftovers {
  private static final int POLITE_LIMIT_MS = 2000;
  private static final int DEATH_LIMIT_MS = 5000;

  private Leftovers() {}

  /** Ends every process that has this run directory as an argument, and waits for their end. */
  public static void endProcessesOf(final Path runDirectory) {
    // A slave may have started another process just before it died; so until nothing is found.
    for (int round = 0; round < 10; round++) {
      final List<Integer> pids = processesOf(runDirectory);
      if (pids.isEmpty()) {
        return;
      }
      for (final int pid : pids) {
        end(pid, runDirectory);
      }
    }
  }

  /** Processes, this one left out, that have this run directory as an argument. */
  public static List<Integer> processesOf(final Path runDirectory) {
    final List<Integer> pids = new ArrayList<>();
    final int self = Processes.currentPid();
    ProcessHandle.allProcesses()
        .mapToInt(process -> Math.toIntExact(process.pid()))
        .filter(pid -> pid != self && hasArgument(pid, runDirectory))
        .forEach(pids::add);
    return pids;
  }

  private static boolean hasArgument(final int pid, final Path runDirectory) {
    return Processes.commandLine(pid).contains(runDirectory.toString());
  }

  private static void end(final int pid, final Path runDirectory) {
    final int pidfd = Processes.pidfdOpen(pid);
    if (pidfd < 0) {
      return;
    }
    try {
      // Asked again now that the pidfd holds the process: the number may have been given anew.
      if (hasArgument(pid, runDirectory)) {
        Processes.signal(pidfd, Processes.SIGTERM);
        if (!Fds.awaitReadable(pidfd, POLITE_LIMIT_MS)) {
          Processes.signal(pidfd, Processes.SIGKILL);
          Fds.awaitReadable(pidfd, DEATH_LIMIT_MS);
        }
      }
    } finally {
      Fds.close(pidfd);
    }
  }

  /** Deletes a folder with everything in it, if it is there. */
  public static void delete(final Path folder) throws IOException {
    if (!Files.exists(folder)) {
      return;
    }
    final List<Path> paths;
    try (Stream<Path> walk = Files.walk(folder)) {
      paths = walk.sorted(Comparator.reverseOrder()).toList();
    }
    for (final Path path : paths) {
      Files.deleteIfExists(path);
    }
  }
}

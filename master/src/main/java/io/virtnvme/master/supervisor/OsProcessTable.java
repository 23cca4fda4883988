package io.virtnvme.master.supervisor;

import io.virtnvme.ipc.sys.Processes;
import io.virtnvme.ipc.sys.UnixSocket;
import java.io.File;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;

/** The real processes. */
public final class OsProcessTable implements ProcessTable {
  private static final List<Path> SETSID =
      List.of(Path.of("/usr/bin/setsid"), Path.of("/bin/setsid"));

  @Override
  public int start(final List<String> command, final Path log) throws IOException {
    final List<String> line = new ArrayList<>();
    for (final Path setsid : SETSID) {
      if (Files.isExecutable(setsid)) {
        // Executes the command in its own process: the process id stays.
        line.add(setsid.toString());
        break;
      }
    }
    line.addAll(command);
    final ProcessBuilder builder = new ProcessBuilder(line);
    builder.redirectInput(ProcessBuilder.Redirect.from(new File("/dev/null")));
    builder.redirectErrorStream(true);
    builder.redirectOutput(ProcessBuilder.Redirect.appendTo(log.toFile()));
    return Math.toIntExact(builder.start().pid());
  }

  @Override
  public int peerPid(final int socketFd) {
    return UnixSocket.peerPid(socketFd);
  }

  @Override
  public int open(final int pid) {
    return Processes.pidfdOpen(pid);
  }

  @Override
  public void kill(final int pidfd) {
    Processes.signal(pidfd, Processes.SIGKILL);
  }

  @Override
  public void reap(final int pid) {
    Processes.reap(pid);
  }

  @Override
  public boolean isSlave(final int pid, final Path runDirectory) {
    final List<String> arguments = Processes.commandLine(pid);
    final int option = arguments.indexOf(SLAVE_OF);
    return option >= 0
        && option + 1 < arguments.size()
        && arguments.get(option + 1).equals(runDirectory.toString());
  }

  @Override
  public List<Integer> slavesOf(final Path runDirectory) {
    return ProcessHandle.allProcesses()
        .map(process -> Math.toIntExact(process.pid()))
        .filter(pid -> isSlave(pid, runDirectory))
        .toList();
  }
}

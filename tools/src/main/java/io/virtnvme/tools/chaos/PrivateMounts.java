package io.virtnvme.tools.chaos;

import io.virtnvme.tools.JvmCommand;
import java.io.BufferedReader;
import java.io.IOException;
import java.io.PrintWriter;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.TimeUnit;

/**
 * Runs the campaign again in a mount name space of its own, where {@code /dev/shm} and the folder
 * of the run directory are small file systems that it may fill. Main thread.
 */
final class PrivateMounts {
  private static final String FOLDER_VARIABLE = "VIRTNVME_CHAOS_FOLDER";
  private static final long PROBE_SECONDS = 10;
  private static final String SCRIPT =
      "mount -t tmpfs -o size=1g tmpfs /dev/shm && mount -t tmpfs -o size=512m tmpfs \"$0\" &&"
          + " exec \"$@\"";

  private PrivateMounts() {}

  /** The folder, when this process runs in such a name space; else null. */
  static Path folder() {
    final String folder = System.getenv(FOLDER_VARIABLE);
    return folder == null ? null : Path.of(folder);
  }

  /** Whether this user may make one here. */
  static boolean arePossible() {
    try {
      final Process probe =
          new ProcessBuilder(command(List.of("true"), Path.of("/mnt")))
              .redirectErrorStream(true)
              .redirectOutput(ProcessBuilder.Redirect.DISCARD)
              .start();
      try {
        return probe.waitFor(PROBE_SECONDS, TimeUnit.SECONDS) && probe.exitValue() == 0;
      } finally {
        probe.destroyForcibly();
      }
    } catch (final IOException e) {
      return false;
    } catch (final InterruptedException e) {
      Thread.currentThread().interrupt();
      return false;
    }
  }

  private static List<String> command(final List<String> inner, final Path folder) {
    final List<String> command =
        new ArrayList<>(List.of("unshare", "--mount", "--propagation", "private", "sh", "-c"));
    command.add(SCRIPT);
    command.add(folder.toString());
    command.addAll(inner);
    return command;
  }

  /** Runs this program with these arguments inside; its exit code. Ends with this process. */
  static int run(final List<String> arguments, final PrintWriter out, final PrintWriter err)
      throws IOException {
    final Path folder = Files.createTempDirectory(Path.of("/tmp"), "vc-");
    try {
      final ProcessBuilder builder = new ProcessBuilder(command(JvmCommand.of(arguments), folder));
      builder.environment().put(FOLDER_VARIABLE, folder.toString());
      final Process inner = builder.start();
      final Thread hook = new Thread(() -> end(inner), "end-inner");
      Runtime.getRuntime().addShutdownHook(hook);
      final Thread errors = new Thread(() -> copy(inner.errorReader(), err), "inner-errors");
      errors.start();
      copy(inner.inputReader(), out);
      errors.join();
      final int exitCode = inner.waitFor();
      Runtime.getRuntime().removeShutdownHook(hook);
      return exitCode;
    } catch (final InterruptedException e) {
      Thread.currentThread().interrupt();
      return 1;
    } finally {
      Files.deleteIfExists(folder);
    }
  }

  /** Line by line, until the inner process has ended. */
  private static void copy(final BufferedReader from, final PrintWriter to) {
    try {
      for (String line = from.readLine(); line != null; line = from.readLine()) {
        to.println(line);
        to.flush();
      }
    } catch (final IOException e) {
      to.println("virtnvme chaos: " + e.getMessage());
    }
  }

  /** It takes its pair down by itself when it is asked to. */
  private static void end(final Process inner) {
    inner.destroy();
    try {
      inner.waitFor(PROBE_SECONDS, TimeUnit.SECONDS);
    } catch (final InterruptedException e) {
      Thread.currentThread().interrupt();
    }
    inner.destroyForcibly();
  }
}

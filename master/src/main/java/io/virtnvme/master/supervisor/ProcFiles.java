package io.virtnvme.master.supervisor;

import io.virtnvme.ipc.sys.Processes;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.DirectoryStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.TimeUnit;

/**
 * What {@code /proc} says of a process and its threads. Any thread; never waits for the process.
 */
final class ProcFiles {
  /**
   * USER_HZ: what {@code /proc} counts processor time in, the same on every Linux that runs a JDK.
   */
  private static final long NS_PER_TICK = TimeUnit.SECONDS.toNanos(1) / 100;

  /** Fields of {@code stat} behind the command in parentheses: 0 is the state. */
  private static final int STATE_FIELD = 0;

  private static final int USER_TICKS_FIELD = 11;
  private static final int SYSTEM_TICKS_FIELD = 12;
  private static final int SIGQUIT = 3;
  private static final int SIGQUIT_BIT = 1 << (SIGQUIT - 1);
  private static final String CAUGHT = "SigCgt:";

  private ProcFiles() {}

  static ProcessActivity activity(final int pid) {
    final String[] process = statFields(process(pid).resolve("stat"));
    if (process.length <= SYSTEM_TICKS_FIELD) {
      return ProcessActivity.NONE;
    }
    boolean runnable = false;
    for (final Path thread : threads(pid)) {
      final String[] fields = statFields(thread.resolve("stat"));
      runnable |= fields.length > STATE_FIELD && fields[STATE_FIELD].equals("R");
    }
    final long ticks =
        Long.parseLong(process[USER_TICKS_FIELD]) + Long.parseLong(process[SYSTEM_TICKS_FIELD]);
    return new ProcessActivity(runnable, ticks * NS_PER_TICK);
  }

  /** Sends the signal that a JVM answers with a dump of its threads, if it can answer. */
  static boolean askForThreads(final int pid, final int pidfd) {
    return !isStopped(pid) && catchesSigquit(pid) && Processes.signal(pidfd, SIGQUIT) == 0;
  }

  /** Whether it is stopped by a signal or a debugger, so that it answers nothing. */
  private static boolean isStopped(final int pid) {
    final String[] fields = statFields(process(pid).resolve("stat"));
    return fields.length > STATE_FIELD && fields[STATE_FIELD].equalsIgnoreCase("t");
  }

  /** Whether SIGQUIT has a handler, and does not just end the process. */
  private static boolean catchesSigquit(final int pid) {
    for (final String line : read(process(pid).resolve("status")).split("\n", -1)) {
      if (line.startsWith(CAUGHT)) {
        return (Long.parseUnsignedLong(line.substring(CAUGHT.length()).trim(), 16) & SIGQUIT_BIT)
            != 0;
      }
    }
    return false;
  }

  /** The process and each of its threads: state, where it waits, kernel stack, processor time. */
  static String describe(final int pid) {
    final StringBuilder text = new StringBuilder();
    final Path process = process(pid);
    append(text, "status", process.resolve("status"));
    append(text, "cgroup", process.resolve("cgroup"));
    append(text, "loadavg", Path.of("/proc/loadavg"));
    for (final Path thread : threads(pid)) {
      text.append("\n=== thread ").append(thread.getFileName()).append(' ');
      text.append(read(thread.resolve("comm")).strip()).append('\n');
      append(text, "stat", thread.resolve("stat"));
      append(text, "schedstat", thread.resolve("schedstat"));
      append(text, "wchan", thread.resolve("wchan"));
      append(text, "syscall", thread.resolve("syscall"));
      append(text, "stack", thread.resolve("stack"));
    }
    return text.toString();
  }

  private static void append(final StringBuilder text, final String name, final Path file) {
    final String contents = read(file).strip();
    text.append(name).append(contents.indexOf('\n') < 0 ? ": " : ":\n");
    text.append(contents.isEmpty() ? "(not readable)" : contents).append('\n');
  }

  private static Path process(final int pid) {
    return Path.of("/proc", Integer.toString(pid));
  }

  private static List<Path> threads(final int pid) {
    final List<Path> threads = new ArrayList<>();
    try (DirectoryStream<Path> tasks = Files.newDirectoryStream(process(pid).resolve("task"))) {
      tasks.forEach(threads::add);
    } catch (final IOException | java.nio.file.DirectoryIteratorException e) {
      // It ended meanwhile: then there is nothing to see.
      return threads;
    }
    return threads;
  }

  private static String[] statFields(final Path file) {
    final String text = read(file);
    // The command may hold blanks and parentheses itself.
    final int end = text.lastIndexOf(')');
    return end < 0 || end + 2 > text.length()
        ? new String[0]
        : text.substring(end + 2).split(" ", -1);
  }

  /** Empty for what is gone or may not be read. */
  private static String read(final Path file) {
    try {
      return new String(Files.readAllBytes(file), StandardCharsets.ISO_8859_1);
    } catch (final IOException e) {
      return "";
    }
  }
}

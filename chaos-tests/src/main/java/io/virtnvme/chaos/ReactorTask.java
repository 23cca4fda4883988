package io.virtnvme.chaos;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.DirectoryStream;
import java.nio.file.Files;
import java.nio.file.Path;

/**
 * The thread of a slave's first reactor, as the kernel sees it. Any thread.
 *
 * @param pid the slave's process
 * @param tid the thread
 */
record ReactorTask(int pid, int tid) {
  private static final String NAME = "reactor-0";
  private static final int STATE_FIELD = 0;
  private static final int FLAGS_FIELD = 6;

  /** The thread has begun to end: it never runs a line of its program again. */
  private static final long PF_EXITING = 0x4;

  /** Throws {@link IllegalStateException} when the process has no such thread. */
  static ReactorTask of(final int pid) {
    try (DirectoryStream<Path> tasks =
        Files.newDirectoryStream(Path.of("/proc", Integer.toString(pid), "task"))) {
      for (final Path task : tasks) {
        if (Files.readString(task.resolve("comm")).strip().equals(NAME)) {
          return new ReactorTask(pid, Integer.parseInt(task.getFileName().toString()));
        }
      }
    } catch (final IOException e) {
      throw new IllegalStateException("process " + pid + " ended", e);
    }
    throw new IllegalStateException("process " + pid + " has no thread " + NAME);
  }

  /** Whether the kernel lets this thread run no line of its program any more. */
  boolean isGone() {
    final Path stat =
        Path.of("/proc", Integer.toString(pid), "task", Integer.toString(tid), "stat");
    final String text;
    try {
      text = Files.readString(stat, StandardCharsets.ISO_8859_1);
    } catch (final IOException e) {
      return true;
    }
    final String[] fields = text.substring(text.lastIndexOf(')') + 2).split(" ", -1);
    return "ZX".contains(fields[STATE_FIELD])
        || (Long.parseLong(fields[FLAGS_FIELD]) & PF_EXITING) != 0;
  }
}

package io.virtnvme.ipc.sys;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;

/** Finds out who holds a file's lock, for messages to people. Any thread. */
public final class LockHolder {
  private LockHolder() {}

  /**
   * Describes the process that holds {@code flock} on the file, e.g. {@code "process 4711
   * (qemu-img)"}.
   */
  public static String describe(final int fd) {
    final String inodeSuffix = ":" + Fds.inode(fd);
    try {
      for (final String line : Files.readAllLines(Path.of("/proc/locks"), StandardCharsets.UTF_8)) {
        final String[] words = line.trim().split("\\s+", -1);
        // "1: FLOCK ADVISORY WRITE 4711 00:1f:9000 0 EOF"; a waiter has "->" in the second column.
        if (words.length >= 6 && words[1].equals("FLOCK") && words[5].endsWith(inodeSuffix)) {
          return "process " + words[4] + " (" + command(words[4]) + ")";
        }
      }
    } catch (final IOException e) {
      return "another process (/proc/locks: " + e.getMessage() + ")";
    }
    return "another process";
  }

  private static String command(final String pid) {
    try {
      return Files.readString(Path.of("/proc", pid, "comm")).trim();
    } catch (final IOException e) {
      return "gone";
    }
  }
}

package io.virtnvme.chaos;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;

/**
 * A control group (version 1) of a test, below the root of one controller. {@link #close} lets go
 * of what is in it.
 */
final class ControlGroup implements AutoCloseable {
  private static final Path ROOT = Path.of("/sys/fs/cgroup");

  private final Path parent;
  private final Path path;

  private ControlGroup(final Path parent, final Path path) {
    this.parent = parent;
    this.path = path;
  }

  /** Whether this machine has the controller, and we may make groups and write to this file. */
  static boolean isAvailable(final String controller, final String file) {
    final Path parent = ROOT.resolve(controller);
    if (!Files.isWritable(parent)) {
      return false;
    }
    final Path probe = parent.resolve("virtnvme-probe-" + ProcessHandle.current().pid());
    try {
      Files.createDirectory(probe);
      try {
        return Files.isWritable(probe.resolve(file));
      } finally {
        Files.delete(probe);
      }
    } catch (final IOException e) {
      return false;
    }
  }

  static ControlGroup create(final String controller) {
    final Path parent = ROOT.resolve(controller);
    final Path path =
        parent.resolve("virtnvme-test-" + ProcessHandle.current().pid() + "-" + System.nanoTime());
    try {
      Files.createDirectory(path);
    } catch (final IOException e) {
      throw new UncheckedIOException(e);
    }
    return new ControlGroup(parent, path);
  }

  void set(final String file, final String value) {
    write(path.resolve(file), value);
  }

  String get(final String file) {
    try {
      return Files.readString(path.resolve(file)).strip();
    } catch (final IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  /** A process with all its threads. */
  void addProcess(final int pid) {
    write(path.resolve("cgroup.procs"), Integer.toString(pid));
  }

  /** One thread alone. */
  void addThread(final int tid) {
    write(path.resolve("tasks"), Integer.toString(tid));
  }

  private static void write(final Path file, final String value) {
    try {
      Files.writeString(file, value);
    } catch (final IOException e) {
      throw new UncheckedIOException(value + " to " + file, e);
    }
  }

  private boolean isEmptied() throws IOException {
    for (final String tid : Files.readAllLines(path.resolve("tasks"))) {
      try {
        Files.writeString(parent.resolve("tasks"), tid);
      } catch (final IOException e) {
        // It ends at this moment; the next look no longer finds it.
        return false;
      }
    }
    return Files.readAllLines(path.resolve("tasks")).isEmpty();
  }

  @Override
  public void close() {
    Waiting.until("control group " + path + " is empty", RawFrontEnd.LIMIT, this::isEmptied);
    try {
      Files.delete(path);
    } catch (final IOException e) {
      throw new UncheckedIOException(e);
    }
  }
}

package io.virtnvme.tools.chaos;

import static java.nio.charset.StandardCharsets.UTF_8;

import io.virtnvme.tools.CommandFailedException;
import java.io.IOException;
import java.nio.file.Path;
import java.util.concurrent.TimeUnit;

/** A block device over a file. Any thread. */
public final class LoopDevice implements AutoCloseable {
  private final String path;

  private LoopDevice(final String path) {
    this.path = path;
  }

  /** Why there can be none here; empty when there can. */
  public static String obstacle() {
    return "root".equals(System.getProperty("user.name")) ? "" : "loop devices need root";
  }

  /** Over a file, past the page cache where the file's system lets it. */
  public static LoopDevice over(final Path file) {
    final String device = run("losetup", "--find", "--show", "--direct-io=on", file.toString());
    if (!device.startsWith("/dev/")) {
      throw new CommandFailedException("no loop device: " + device);
    }
    return new LoopDevice(device);
  }

  /** Where it is, {@code /dev/loop0}. */
  public String path() {
    return path;
  }

  /** Major and minor number as the kernel writes them, {@code 7:0}. */
  public String number() {
    return run("lsblk", "--nodeps", "--noheadings", "--output", "MAJ:MIN", path);
  }

  private static String run(final String... command) {
    try {
      final Process process = new ProcessBuilder(command).redirectErrorStream(true).start();
      try {
        final String output = new String(process.getInputStream().readAllBytes(), UTF_8).strip();
        if (!process.waitFor(10, TimeUnit.SECONDS)) {
          throw new CommandFailedException(command[0] + " does not end");
        }
        return output;
      } finally {
        process.destroyForcibly();
      }
    } catch (final IOException e) {
      throw new CommandFailedException("cannot run " + command[0] + ": " + e.getMessage(), e);
    } catch (final InterruptedException e) {
      Thread.currentThread().interrupt();
      throw new CommandFailedException("interrupted while waiting for " + command[0], e);
    }
  }

  @Override
  public void close() {
    run("losetup", "--detach", path);
  }
}

package io.virtnvme.slave.bdev;

import static java.nio.charset.StandardCharsets.UTF_8;

import java.io.IOException;
import java.nio.file.Path;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.Assumptions;

/** A block device over a file; skips the test, with the reason, where none can be made. */
final class LoopDevice implements AutoCloseable {
  private final String path;

  private LoopDevice(final String path) {
    this.path = path;
  }

  static LoopDevice over(final Path file) throws IOException {
    Assumptions.assumeTrue(
        "root".equals(System.getProperty("user.name")), "loop devices need root");
    final String answer = run("losetup", "--find", "--show", "--direct-io=on", file.toString());
    Assumptions.assumeTrue(answer.startsWith("/dev/"), "no loop device: " + answer);
    return new LoopDevice(answer);
  }

  Path path() {
    return Path.of(path);
  }

  /** Major and minor number as the kernel writes them, {@code 7:0}. */
  String number() throws IOException {
    return run("lsblk", "--nodeps", "--noheadings", "--output", "MAJ:MIN", path);
  }

  void refresh() throws IOException {
    run("losetup", "--set-capacity", path);
  }

  private static String run(final String... command) throws IOException {
    final Process process = new ProcessBuilder(command).redirectErrorStream(true).start();
    final String output = new String(process.getInputStream().readAllBytes(), UTF_8).trim();
    try {
      if (!process.waitFor(10, TimeUnit.SECONDS)) {
        throw new IOException(command[0] + " did not end");
      }
    } catch (final InterruptedException e) {
      Thread.currentThread().interrupt();
      throw new IOException("interrupted while waiting for " + command[0], e);
    } finally {
      process.destroyForcibly();
    }
    return output;
  }

  @Override
  public void close() throws IOException {
    run("losetup", "--detach", path);
  }
}

package io.virtnvme.chaos;

import static java.nio.charset.StandardCharsets.UTF_8;

import io.virtnvme.ipc.memory.Mem;
import io.virtnvme.ipc.sys.Fds;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Path;
import java.util.concurrent.TimeUnit;

/**
 * A block device over a file that writes slowly for the processes in its control group: the kernel
 * holds what they have submitted, also after their death. Others write at full speed.
 */
final class SlowDisk implements AutoCloseable {
  private static final String CONTROLLER = "blkio";
  private static final String LIMIT_FILE = "blkio.throttle.write_bps_device";

  private final String device;
  private final ControlGroup group;

  private SlowDisk(final String device, final ControlGroup group) {
    this.device = device;
    this.group = group;
  }

  /** Why there can be none here; empty when there can. */
  static String obstacle() {
    if (!"root".equals(System.getProperty("user.name"))) {
      return "loop devices need root";
    }
    return ControlGroup.isAvailable(CONTROLLER, LIMIT_FILE)
        ? ""
        : "no blkio controller of cgroup v1: devices cannot be slowed down";
  }

  /** Over a file that has all its blocks. */
  static SlowDisk over(final Path file, final int bytesPerSecond) {
    final String device = run("losetup", "--find", "--show", "--direct-io=on", file.toString());
    if (!device.startsWith("/dev/")) {
      throw new AssertionError("no loop device: " + device);
    }
    final String number = run("lsblk", "--nodeps", "--noheadings", "--output", "MAJ:MIN", device);
    final ControlGroup group = ControlGroup.create(CONTROLLER);
    group.set(LIMIT_FILE, number.strip() + " " + bytesPerSecond);
    return new SlowDisk(device, group);
  }

  String device() {
    return device;
  }

  void slowDown(final int pid) {
    group.addProcess(pid);
  }

  /**
   * The first word of each piece, as it is on the device now.
   *
   * @param pieceBytes a power of two of at least 4096
   */
  long[] firstWords(final int pieceCount, final int pieceBytes) {
    final long memory = Mem.allocate(2L * pieceBytes);
    final long buffer = (memory + pieceBytes - 1) & -pieceBytes;
    final int fd = Fds.open(device, Fds.O_DIRECT, 0);
    try {
      final long[] words = new long[pieceCount];
      for (int piece = 0; piece < pieceCount; piece++) {
        final long read = Fds.pread(fd, buffer, pieceBytes, (long) piece * pieceBytes);
        if (read != pieceBytes) {
          throw new AssertionError("read of piece " + piece + " gave " + read);
        }
        words[piece] = Mem.getLong(buffer);
      }
      return words;
    } finally {
      Fds.close(fd);
      Mem.free(memory);
    }
  }

  private static String run(final String... command) {
    try {
      final Process process = new ProcessBuilder(command).redirectErrorStream(true).start();
      try {
        final String output = new String(process.getInputStream().readAllBytes(), UTF_8).strip();
        if (!process.waitFor(10, TimeUnit.SECONDS)) {
          throw new AssertionError(command[0] + " does not end");
        }
        return output;
      } finally {
        process.destroyForcibly();
      }
    } catch (final IOException e) {
      throw new UncheckedIOException(e);
    } catch (final InterruptedException e) {
      Thread.currentThread().interrupt();
      throw new AssertionError("interrupted while waiting for " + command[0], e);
    }
  }

  @Override
  public void close() {
    group.close();
    run("losetup", "--detach", device);
  }
}

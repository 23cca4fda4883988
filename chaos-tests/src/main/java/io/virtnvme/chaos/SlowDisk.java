package io.virtnvme.chaos;

import io.virtnvme.ipc.memory.Mem;
import io.virtnvme.ipc.sys.Fds;
import io.virtnvme.tools.chaos.LoopDevice;
import java.nio.file.Path;

/**
 * A block device over a file that writes slowly for the processes in its control group: the kernel
 * holds what they have submitted, also after their death. Others write at full speed.
 */
final class SlowDisk implements AutoCloseable {
  private static final String CONTROLLER = "blkio";
  private static final String LIMIT_FILE = "blkio.throttle.write_bps_device";

  private final LoopDevice device;
  private final ControlGroup group;

  private SlowDisk(final LoopDevice device, final ControlGroup group) {
    this.device = device;
    this.group = group;
  }

  /** Why there can be none here; empty when there can. */
  static String obstacle() {
    if (!LoopDevice.obstacle().isEmpty()) {
      return LoopDevice.obstacle();
    }
    return ControlGroup.isAvailable(CONTROLLER, LIMIT_FILE)
        ? ""
        : "no blkio controller of cgroup v1: devices cannot be slowed down";
  }

  /** Over a file that has all its blocks. */
  static SlowDisk over(final Path file, final int bytesPerSecond) {
    final LoopDevice device = LoopDevice.over(file);
    final ControlGroup group = ControlGroup.create(CONTROLLER);
    group.set(LIMIT_FILE, device.number() + " " + bytesPerSecond);
    return new SlowDisk(device, group);
  }

  String device() {
    return device.path();
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
    final int fd = Fds.open(device.path(), Fds.O_DIRECT, 0);
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

  @Override
  public void close() {
    group.close();
    device.close();
  }
}

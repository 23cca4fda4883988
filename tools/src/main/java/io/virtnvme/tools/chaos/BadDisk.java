package io.virtnvme.tools.chaos;

import io.virtnvme.ipc.sys.Fds;
import io.virtnvme.ipc.sys.Memfd;
import io.virtnvme.ipc.sys.Processes;
import java.nio.file.Path;

/**
 * A block device whose second half is broken: reads and writes there end with EIO. The memory below
 * it was cut in half, and may not grow again. Any thread.
 */
public final class BadDisk implements AutoCloseable {
  private final int memfd;
  private final LoopDevice device;

  private BadDisk(final int memfd, final LoopDevice device) {
    this.memfd = memfd;
    this.device = device;
  }

  /**
   * A new one.
   *
   * @param goodBytes length of the good half, and of the bad one
   */
  public static BadDisk of(final long goodBytes) {
    final int memfd = Memfd.create("bad-disk", 2 * goodBytes);
    final LoopDevice device =
        LoopDevice.over(Path.of("/proc/" + Processes.currentPid() + "/fd/" + memfd));
    Fds.truncate(memfd, goodBytes);
    Memfd.seal(memfd, Memfd.F_SEAL_GROW);
    return new BadDisk(memfd, device);
  }

  /** Path of the block device. */
  public String device() {
    return device.path();
  }

  @Override
  public void close() {
    device.close();
    Fds.close(memfd);
  }
}

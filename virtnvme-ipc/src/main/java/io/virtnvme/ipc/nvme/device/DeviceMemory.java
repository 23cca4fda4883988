package io.virtnvme.ipc.nvme.device;

import io.virtnvme.ipc.sys.Fds;
import io.virtnvme.ipc.sys.Mapping;
import io.virtnvme.ipc.sys.Memfd;

/**
 * Zeroed pages for queues and for data of admin commands, to be given to a {@link DmaSpace}.
 * Whoever makes it closes it, once, when no device can reach it any more.
 */
public final class DeviceMemory implements AutoCloseable {
  private final Mapping mapping;

  private DeviceMemory(final Mapping mapping) {
    this.mapping = mapping;
  }

  /**
   * Makes it.
   *
   * @param lengthBytes whole pages of 4096
   */
  public static DeviceMemory create(final String name, final long lengthBytes) {
    final int fd = Memfd.create(name, lengthBytes);
    try {
      return new DeviceMemory(Mapping.mapPopulated(fd, 0, lengthBytes));
    } finally {
      Fds.close(fd);
    }
  }

  public long address() {
    return mapping.address();
  }

  public long lengthBytes() {
    return mapping.lengthBytes();
  }

  @Override
  public void close() {
    mapping.close();
  }
}

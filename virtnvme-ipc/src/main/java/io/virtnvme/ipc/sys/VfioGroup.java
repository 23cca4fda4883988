package io.virtnvme.ipc.sys;

import static java.nio.charset.StandardCharsets.US_ASCII;

import io.virtnvme.ipc.memory.Mem;

/**
 * An IOMMU group as VFIO sees it: the devices that cannot be kept apart from each other. Any
 * thread, one at a time.
 */
public final class VfioGroup implements AutoCloseable {
  private final int fd;
  private final String path;
  private boolean closed;

  private VfioGroup(final int fd, final String path) {
    this.fd = fd;
    this.path = path;
  }

  /**
   * Opens a group.
   *
   * @param path {@code /dev/vfio/NUMBER}
   * @throws SysException EBUSY when another process has it open, EACCES without permission
   */
  public static VfioGroup open(final String path) {
    return new VfioGroup(Fds.open(path, Fds.O_RDWR, 0), path);
  }

  /** Whether no device of the group has a driver of the kernel. */
  public boolean isViable() {
    final long status = VfioCall.structure(VfioCall.GROUP_STATUS_LENGTH);
    try {
      Sys.check(
          Libc.ioctl(fd, VfioCall.GROUP_GET_STATUS, status), "VFIO_GROUP_GET_STATUS of " + path);
      return (Mem.getInt(status + VfioCall.FLAGS_OFFSET) & VfioCall.GROUP_VIABLE) != 0;
    } finally {
      Mem.free(status);
    }
  }

  void join(final int containerFd) {
    final long argument = Mem.allocate(Integer.BYTES);
    try {
      Mem.putInt(argument, containerFd);
      Sys.check(
          Libc.ioctl(fd, VfioCall.GROUP_SET_CONTAINER, argument),
          "VFIO_GROUP_SET_CONTAINER of " + path);
    } finally {
      Mem.free(argument);
    }
  }

  /**
   * Opens a device of the group; the group must be in a container.
   *
   * @param name PCI address, for example {@code 0000:00:04.0}
   */
  public VfioDevice device(final String name) {
    final byte[] text = (name + "\0").getBytes(US_ASCII);
    final long argument = Mem.allocate(text.length);
    try {
      Mem.copyIn(text, 0, argument, text.length);
      return VfioDevice.of(
          Sys.check(
              Libc.ioctl(fd, VfioCall.GROUP_GET_DEVICE_FD, argument),
              "VFIO_GROUP_GET_DEVICE_FD of " + name),
          name);
    } finally {
      Mem.free(argument);
    }
  }

  @Override
  public void close() {
    if (!closed) {
      closed = true;
      Fds.close(fd);
    }
  }
}

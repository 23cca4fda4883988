package io.virtnvme.ipc.sys;

import io.virtnvme.ipc.memory.Mem;

/** A PCI device that a process drives through VFIO. Any thread, one at a time. */
public final class VfioDevice implements AutoCloseable {
  /** Region of the first base address register. */
  public static final int BAR0 = 0;

  /** Region of the configuration space. */
  public static final int CONFIG = 7;

  /**
   * A part of the device that can be read, written or mapped.
   *
   * @param flags of VFIO
   * @param lengthBytes 0 when the device does not have it
   * @param offsetBytes where it begins in the device's descriptor
   */
  public record Region(int flags, long lengthBytes, long offsetBytes) {
    public boolean isMappable() {
      return (flags & VfioCall.REGION_MAPPABLE) != 0;
    }
  }

  private final int fd;
  private final String name;
  private boolean closed;

  private VfioDevice(final int fd, final String name) {
    this.fd = fd;
    this.name = name;
  }

  /**
   * A device whose descriptor is open; takes it over, also when this throws.
   *
   * @param name PCI address, for messages
   */
  public static VfioDevice of(final int fd, final String name) {
    final VfioDevice device = new VfioDevice(fd, name);
    final long info = VfioCall.structure(VfioCall.DEVICE_INFO_LENGTH);
    try {
      Sys.check(Libc.ioctl(fd, VfioCall.DEVICE_GET_INFO, info), "VFIO_DEVICE_GET_INFO of " + name);
      final boolean isPci = (Mem.getInt(info + VfioCall.FLAGS_OFFSET) & VfioCall.DEVICE_PCI) != 0;
      if (!isPci || Mem.getInt(info + VfioCall.DEVICE_REGIONS_OFFSET) <= CONFIG) {
        throw new SysException(name + " is no PCI device of VFIO", Errno.ENODEV);
      }
      return device;
    } catch (final RuntimeException e) {
      device.close();
      throw e;
    } finally {
      Mem.free(info);
    }
  }

  /** Its descriptor, to be duplicated for whoever maps a region too. */
  public int fd() {
    return fd;
  }

  /** Where a region is; {@link #BAR0} or {@link #CONFIG}. */
  public Region region(final int index) {
    final long info = VfioCall.structure(VfioCall.REGION_INFO_LENGTH);
    try {
      Mem.putInt(info + VfioCall.REGION_INDEX_OFFSET, index);
      Sys.check(
          Libc.ioctl(fd, VfioCall.DEVICE_GET_REGION_INFO, info),
          "VFIO_DEVICE_GET_REGION_INFO " + index + " of " + name);
      return new Region(
          Mem.getInt(info + VfioCall.FLAGS_OFFSET),
          Mem.getLong(info + VfioCall.REGION_SIZE_OFFSET),
          Mem.getLong(info + VfioCall.REGION_OFFSET_OFFSET));
    } finally {
      Mem.free(info);
    }
  }

  /** A word of 2 bytes of the configuration space. */
  public int configShort(final int offset) {
    final long value = Mem.allocate(Short.BYTES);
    try {
      transferred(
          Libc.pread(fd, value, Short.BYTES, region(CONFIG).offsetBytes() + offset),
          offset,
          "read");
      return Mem.getUnsignedShort(value);
    } finally {
      Mem.free(value);
    }
  }

  /** Sets a word of 2 bytes of the configuration space. */
  public void configShort(final int offset, final int newValue) {
    final long value = Mem.allocate(Short.BYTES);
    try {
      Mem.putShort(value, (short) newValue);
      transferred(
          Libc.pwrite(fd, value, Short.BYTES, region(CONFIG).offsetBytes() + offset),
          offset,
          "write");
    } finally {
      Mem.free(value);
    }
  }

  private void transferred(final long lengthBytes, final int offset, final String verb) {
    if (Sys.check(lengthBytes, verb + " of the configuration of " + name) != Short.BYTES) {
      throw new SysException(
          verb + " of the configuration of " + name + " at " + offset + " fell short", Errno.EIO);
    }
  }

  /** Resets the function, if the device knows how to. */
  public void reset() {
    Sys.check(Libc.ioctl(fd, VfioCall.DEVICE_RESET, 0), "VFIO_DEVICE_RESET of " + name);
  }

  @Override
  public void close() {
    if (!closed) {
      closed = true;
      Fds.close(fd);
    }
  }
}

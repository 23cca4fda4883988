package io.virtnvme.ipc.sys;

import io.virtnvme.ipc.memory.Mem;
import java.util.ArrayList;
import java.util.List;

/**
 * A VFIO container: the address space that the devices of its groups see, kept by the IOMMU (type
 * 1, version 2). Any thread, one at a time.
 */
public final class VfioContainer implements AutoCloseable {
  private static final int INFO_LENGTH_MAX = 64 * 1024;
  private static final int CAPABILITY_COUNT_MAX = 64;

  /**
   * Addresses that the IOMMU translates, both ends included.
   *
   * @param first lowest address
   * @param last highest address
   */
  public record Range(long first, long last) {}

  /**
   * What the IOMMU can do.
   *
   * @param ranges addresses that may be mapped, ascending; empty when the kernel does not say
   * @param mappingsLeft mappings that can still be made; -1 when the kernel does not say
   */
  public record Info(List<Range> ranges, long mappingsLeft) {}

  private final int fd;
  private boolean closed;

  private VfioContainer(final int fd) {
    this.fd = fd;
  }

  /**
   * Opens an empty container.
   *
   * @param path usually {@code /dev/vfio/vfio}
   * @throws SysException ENOENT without the module, EACCES without permission
   */
  public static VfioContainer open(final String path) {
    final int fd = Fds.open(path, Fds.O_RDWR, 0);
    final int version = Libc.ioctl(fd, VfioCall.GET_API_VERSION, 0);
    final int type1 = Libc.ioctl(fd, VfioCall.CHECK_EXTENSION, VfioCall.TYPE1_V2);
    if (version != VfioCall.API_VERSION || type1 <= 0) {
      Fds.close(fd);
      throw new SysException(
          "VFIO of this kernel lacks IOMMU type 1 version 2 (load vfio_iommu_type1): API version="
              + version,
          Errno.EOPNOTSUPP);
    }
    return new VfioContainer(fd);
  }

  /** A container that another process has set up; takes the descriptor over. */
  public static VfioContainer adopt(final int fd) {
    return new VfioContainer(fd);
  }

  /** Its descriptor, to be duplicated for whoever maps memory too. */
  public int fd() {
    return fd;
  }

  /**
   * Adds a group, and with the first one chooses the kind of IOMMU.
   *
   * @throws SysException EBUSY when another process has the group, EPERM when its interrupts are
   *     not isolated
   */
  public void add(final VfioGroup group) {
    group.join(fd);
    Sys.check(Libc.ioctl(fd, VfioCall.SET_IOMMU, VfioCall.TYPE1_V2), "VFIO_SET_IOMMU");
  }

  /** What the IOMMU can do; after {@link #add}. */
  public Info info() {
    final long info = VfioCall.structure(INFO_LENGTH_MAX);
    try {
      Sys.check(Libc.ioctl(fd, VfioCall.IOMMU_GET_INFO, info), "VFIO_IOMMU_GET_INFO");
      final boolean hasMore =
          (Mem.getInt(info + VfioCall.FLAGS_OFFSET) & VfioCall.IOMMU_HAS_CAPABILITIES) != 0;
      return read(info, hasMore ? Mem.getInt(info + VfioCall.IOMMU_CAPABILITIES_OFFSET) : 0);
    } finally {
      Mem.free(info);
    }
  }

  private static Info read(final long info, final int firstOffset) {
    final List<Range> ranges = new ArrayList<>();
    long mappingsLeft = -1;
    int offset = firstOffset;
    for (int i = 0; offset != 0 && i < CAPABILITY_COUNT_MAX; i++) {
      final long capability = info + offset;
      final int count = Mem.getInt(capability + VfioCall.CAPABILITY_COUNT_OFFSET);
      final int id = Mem.getUnsignedShort(capability);
      if (id == VfioCall.CAPABILITY_IOVA_RANGES) {
        for (int n = 0; n < count; n++) {
          final long range = capability + VfioCall.CAPABILITY_RANGES_OFFSET + 2L * Long.BYTES * n;
          ranges.add(new Range(Mem.getLong(range), Mem.getLong(range + Long.BYTES)));
        }
      } else if (id == VfioCall.CAPABILITY_MAPPINGS_LEFT) {
        mappingsLeft = Integer.toUnsignedLong(count);
      }
      offset = Mem.getInt(capability + VfioCall.CAPABILITY_NEXT_OFFSET);
    }
    return new Info(List.copyOf(ranges), mappingsLeft);
  }

  /**
   * Lets the devices read and write a range of this process's memory, which is locked until {@link
   * #unmap}.
   *
   * @throws SysException EEXIST when a part of the addresses is mapped, EINVAL outside of what the
   *     IOMMU translates, ENOMEM beyond the limit of locked memory, ENOSPC beyond the number of
   *     mappings
   */
  public void map(final long address, final long iova, final long lengthBytes) {
    final long call = VfioCall.structure(VfioCall.MAP_LENGTH);
    try {
      Mem.putInt(call + VfioCall.FLAGS_OFFSET, VfioCall.MAP_READ_WRITE);
      Mem.putLong(call + VfioCall.MAP_ADDRESS_OFFSET, address);
      Mem.putLong(call + VfioCall.MAP_IOVA_OFFSET, iova);
      Mem.putLong(call + VfioCall.MAP_SIZE_OFFSET, lengthBytes);
      Sys.check(
          Libc.ioctl(fd, VfioCall.IOMMU_MAP, call),
          "DMA mapping of " + lengthBytes + " bytes at iova 0x" + Long.toHexString(iova));
    } finally {
      Mem.free(call);
    }
  }

  /** Ends what {@link #map} began, with the same range. */
  public void unmap(final long iova, final long lengthBytes) {
    final long call = VfioCall.structure(VfioCall.UNMAP_LENGTH);
    try {
      Mem.putLong(call + VfioCall.UNMAP_IOVA_OFFSET, iova);
      Mem.putLong(call + VfioCall.UNMAP_SIZE_OFFSET, lengthBytes);
      Sys.check(
          Libc.ioctl(fd, VfioCall.IOMMU_UNMAP, call),
          "DMA unmapping of " + lengthBytes + " bytes at iova 0x" + Long.toHexString(iova));
    } finally {
      Mem.free(call);
    }
  }

  /** Ends it; its mappings end with the last device and group that use it. */
  @Override
  public void close() {
    if (!closed) {
      closed = true;
      Fds.close(fd);
    }
  }
}

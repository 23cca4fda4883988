package io.virtnvme.ipc.segment;

import io.virtnvme.ipc.sys.Fds;
import io.virtnvme.ipc.sys.Mapping;
import io.virtnvme.ipc.sys.SysException;

/**
 * A memory disk: the header's page, padding up to a huge page, then the blocks. Written by the
 * reactor that owns the disk.
 *
 * <pre>
 *  0       segment header
 *  2 MiB   block 0, block 1, ...
 * </pre>
 */
public final class MemDiskSegment implements AutoCloseable {
  public static final int DATA_OFFSET = 2 * 1024 * 1024;

  private final Segment segment;

  private MemDiskSegment(final Segment segment) {
    this.segment = segment;
  }

  public static MemDiskSegment create(
      final SegmentDirectory directory, final String name, final long dataBytes) {
    return new MemDiskSegment(
        Segment.create(
            directory,
            directory.memDisk(name),
            SegmentKind.MEM_DISK,
            Math.addExact(DATA_OFFSET, dataBytes),
            0,
            address -> {}));
  }

  public static MemDiskSegment open(final SegmentDirectory directory, final String name) {
    final Segment segment = Segment.open(directory, directory.memDisk(name), SegmentKind.MEM_DISK);
    if (segment.lengthBytes() < DATA_OFFSET) {
      segment.close();
      throw new BadSegmentException(
          segment.path(), "too short for a disk: bytes=" + segment.lengthBytes());
    }
    return new MemDiskSegment(segment);
  }

  /**
   * Makes the disk longer; what it holds stays. Processes that have it open see the new part when
   * they open it again. Throws ENOSPC when tmpfs has no room, and changes nothing.
   */
  public static void grow(
      final SegmentDirectory directory, final String name, final long newDataBytes) {
    final int fd = Fds.open(directory.memDisk(name).toString(), Fds.O_RDWR, 0);
    try {
      final long lengthBytes = Math.addExact(DATA_OFFSET, newDataBytes);
      final long oldLengthBytes = Fds.length(fd);
      try {
        HugePages.reserve(fd, directory.memDisk(name), oldLengthBytes, lengthBytes);
        Fds.allocate(fd, lengthBytes);
      } catch (final SysException e) {
        // Processes that have it open know the old part only.
        Fds.truncate(fd, oldLengthBytes);
        throw e;
      }
      try (Mapping header = Mapping.map(fd, 0, DATA_OFFSET)) {
        SegmentHeader.grow(header.address(), lengthBytes);
      }
    } finally {
      Fds.close(fd);
    }
  }

  public long dataAddress() {
    return segment.address() + DATA_OFFSET;
  }

  public long dataBytes() {
    return segment.lengthBytes() - DATA_OFFSET;
  }

  @Override
  public void close() {
    segment.close();
  }
}

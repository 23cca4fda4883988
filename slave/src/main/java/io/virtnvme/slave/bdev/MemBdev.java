package io.virtnvme.slave.bdev;

import io.virtnvme.ipc.memory.MemoryRange;
import io.virtnvme.ipc.relay.BdevDescription;
import io.virtnvme.ipc.segment.BadSegmentException;
import io.virtnvme.ipc.segment.MemDiskSegment;
import io.virtnvme.ipc.segment.SegmentDirectory;
import io.virtnvme.ipc.sys.Errno;
import io.virtnvme.ipc.sys.SysException;
import java.util.ArrayList;
import java.util.List;

/**
 * A disk in a segment that the master made and that outlives every slave. Opened and resized on the
 * control thread; reactors copy from and to the mapping.
 */
final class MemBdev implements Bdev {
  /**
   * The blocks as they are mapped now; replaced whole, so a reactor never sees half of a resize.
   */
  record Extent(long address, long lengthBytes) {}

  private final SegmentDirectory directory;

  /**
   * Every mapping made, the newest last. Older ones stay until close: a reactor may still copy
   * through them.
   */
  private final List<MemDiskSegment> mappings = new ArrayList<>();

  private final RateLimits limits = new RateLimits();
  private final DirtyTracking tracking = new DirtyTracking();
  private volatile BdevDescription description;
  private volatile Extent extent;

  private MemBdev(final BdevDescription description, final SegmentDirectory directory) {
    this.description = description;
    this.directory = directory;
  }

  static MemBdev open(final BdevDescription description, final SegmentDirectory directory) {
    final MemBdev bdev = new MemBdev(description, directory);
    bdev.map(description);
    return bdev;
  }

  private void map(final BdevDescription wanted) {
    final MemDiskSegment segment;
    try {
      segment = MemDiskSegment.open(directory, wanted.name());
    } catch (final BadSegmentException e) {
      throw new BdevException(wanted.name(), e.getMessage(), Errno.ENODEV);
    } catch (final SysException e) {
      throw new BdevException(wanted.name(), e.getMessage(), e.errno());
    }
    if (wanted.lengthBytes() > segment.dataBytes()) {
      final long dataBytes = segment.dataBytes();
      segment.close();
      throw new BdevException(
          wanted.name(),
          "its segment is shorter than the disk: segment="
              + dataBytes
              + " disk="
              + wanted.lengthBytes()
              + " bytes",
          Errno.EINVAL);
    }
    mappings.add(segment);
    extent = new Extent(segment.dataAddress(), wanted.lengthBytes());
    description = wanted;
  }

  Extent extent() {
    return extent;
  }

  @Override
  public BdevDescription description() {
    return description;
  }

  @Override
  public boolean needsFence() {
    return false;
  }

  @Override
  public boolean tryFence() {
    return true;
  }

  @Override
  public BlockChannel channel(final ReactorIo io) {
    return new MemChannel(this, (UringReactorIo) io);
  }

  @Override
  public void resize(final long blockCount) {
    final BdevDescription now = description;
    if (blockCount < now.blockCount()) {
      throw new BdevException(
          now.name(),
          "a memory disk only grows: now=" + now.blockCount() + " asked=" + blockCount + " blocks",
          Errno.EINVAL);
    }
    if (blockCount > now.blockCount()) {
      map(now.withBlockCount(blockCount));
    }
  }

  @Override
  public RateLimits limits() {
    return limits;
  }

  @Override
  public DirtyTracking tracking() {
    return tracking;
  }

  @Override
  public List<MemoryRange> memory() {
    return List.of(new MemoryRange(extent.address(), extent.lengthBytes()));
  }

  @Override
  public void close() {
    mappings.forEach(MemDiskSegment::close);
    mappings.clear();
    tracking.close();
  }
}

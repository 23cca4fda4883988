package io.virtnvme.slave.bdev;

import io.virtnvme.ipc.nvme.queue.DeviceQueueGeometry;
import io.virtnvme.ipc.nvme.queue.DeviceQueueSegment;
import io.virtnvme.ipc.relay.BdevDescription;
import io.virtnvme.ipc.segment.BadSegmentException;
import io.virtnvme.ipc.segment.SegmentDirectory;
import io.virtnvme.ipc.sys.Errno;
import io.virtnvme.ipc.sys.Pages;
import io.virtnvme.ipc.sys.SysException;
import java.util.Arrays;

/**
 * A disk on a real NVMe device: each reactor drives a queue pair of its own that the master has
 * made, and that outlives the slave. Opened, resized and closed on the control thread.
 */
final class NvmeBdev implements Bdev {
  private final RateLimits limits = new RateLimits();
  private final SegmentDirectory directory;
  private final NvmeController controller;
  private NvmeChannel[] channels = new NvmeChannel[0];
  private volatile BdevDescription description;
  private volatile boolean isClosed;

  private NvmeBdev(
      final BdevDescription description,
      final SegmentDirectory directory,
      final NvmeController controller) {
    this.description = description;
    this.directory = directory;
    this.controller = controller;
  }

  /**
   * Opens a disk whose queue pairs the master has made; the one of reactor 0 is looked at.
   *
   * @throws BdevException with a sentence for the operator
   */
  static NvmeBdev open(
      final BdevDescription description,
      final SegmentDirectory directory,
      final NvmeController controller) {
    final NvmeBdev bdev = new NvmeBdev(description, directory, controller);
    bdev.openSegment(0).close();
    return bdev;
  }

  private DeviceQueueSegment openSegment(final int index) {
    final BdevDescription wanted = description;
    final DeviceQueueSegment segment;
    try {
      segment = DeviceQueueSegment.open(directory, wanted.name(), index);
    } catch (final BadSegmentException e) {
      throw new BdevException(wanted.name(), e.getMessage(), Errno.ENODEV);
    } catch (final SysException e) {
      throw new BdevException(wanted.name(), e.getMessage(), e.errno());
    }
    final DeviceQueueGeometry geometry = segment.geometry();
    if (geometry.blockBytes() != wanted.blockBytes()
        || geometry.blockCount() < wanted.blockCount()) {
      segment.close();
      throw new BdevException(
          wanted.name(),
          "its queue pair is of another disk: blocks="
              + geometry.blockCount()
              + " of "
              + geometry.blockBytes()
              + " bytes, wanted="
              + wanted.blockCount()
              + " of "
              + wanted.blockBytes(),
          Errno.EINVAL);
    }
    return segment;
  }

  @Override
  public BdevDescription description() {
    return description;
  }

  /** What the device still holds is waited for in its queue pair: there is no other lock. */
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
    return ((UringReactorIo) io).channel(this);
  }

  /** The channel of a reactor, on the queue pair with its number. */
  NvmeChannel makeChannel(final int index) {
    final DeviceQueueSegment segment = openSegment(index);
    Pages.populate(
        segment.address(),
        DeviceQueueSegment.slotPagesOffset(
            segment.geometry().entryCount(), segment.geometry().slotCount()));
    final NvmeChannel channel = new NvmeChannel(this, segment, controller);
    synchronized (this) {
      final NvmeChannel[] grown = Arrays.copyOf(channels, channels.length + 1);
      grown[channels.length] = channel;
      channels = grown;
    }
    return channel;
  }

  long lengthBytes() {
    return description.lengthBytes();
  }

  boolean isClosed() {
    return isClosed;
  }

  @Override
  public void resize(final long blockCount) {
    final BdevDescription now = description;
    try (DeviceQueueSegment segment = openSegment(0)) {
      if (blockCount > segment.geometry().blockCount()) {
        throw new BdevException(
            now.name(),
            "its part of the namespace is smaller: now="
                + segment.geometry().blockCount()
                + " asked="
                + blockCount
                + " blocks",
            Errno.EINVAL);
      }
    }
    description = now.withBlockCount(blockCount);
  }

  @Override
  public RateLimits limits() {
    return limits;
  }

  @Override
  public synchronized void close() {
    isClosed = true;
    for (final NvmeChannel channel : channels) {
      channel.close();
    }
  }
}

package io.virtnvme.master.supervisor;

import io.virtnvme.ipc.nvme.IdentifyController;
import io.virtnvme.ipc.nvme.PrpEntry;
import io.virtnvme.ipc.nvme.queue.DeviceQueueGeometry;
import io.virtnvme.ipc.nvme.queue.DeviceQueueSegment;
import io.virtnvme.ipc.segment.SegmentDirectory;
import io.virtnvme.master.nvme.ControllerIdentity;
import io.virtnvme.master.nvme.NvmeDevice;
import io.virtnvme.master.nvme.QueuePairAddress;
import java.io.IOException;
import java.nio.file.Files;
import java.util.ArrayList;
import java.util.List;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * The queue pairs of one device's bdevs, one for each reactor: segments that the device and slaves
 * reach. The device's thread; {@link #pairs} may be asked by any.
 */
final class DeviceQueues {
  private static final Logger LOG = LoggerFactory.getLogger(DeviceQueues.class);

  /** Each entry has pages of its own in locked memory, 20 KiB. */
  private static final int ENTRY_COUNT = 256;

  private static final int TRANSFER_BYTES_MAX = 1 << 20;

  /** A bdev that is a run of blocks of a namespace. */
  record Disk(String bdev, int nsid, int blockBytes, long firstBlock, long blockCount) {}

  /** Where a queue pair was at some moment. */
  record Mark(DeviceQueueSegment queue, long creation, long submitted) {}

  private final SegmentDirectory segments;
  private final int reactorCount;
  private volatile List<DeviceCare.Pair> pairs = List.of();

  /** {@code reactorCount}: queue pairs for each bdev. */
  DeviceQueues(final SegmentDirectory segments, final int reactorCount) {
    this.segments = segments;
    this.reactorCount = reactorCount;
  }

  /** All of them. */
  List<DeviceCare.Pair> pairs() {
    return pairs;
  }

  /** Why a controller has no queue pairs for so many bdevs more; empty when it has. */
  String problem(final NvmeDevice device, final int bdevCount) {
    return pairs.size() + (long) bdevCount * reactorCount <= device.queuePairCount()
        ? ""
        : "the controller grants "
            + device.queuePairCount()
            + " queue pairs, of which "
            + pairs.size()
            + " are in use, and each bdev needs "
            + reactorCount;
  }

  /**
   * Makes the segments of a bdev and maps them for the device, which does not have the queues yet;
   * their gates are shut. When it throws, none is left.
   */
  List<DeviceCare.Pair> make(final NvmeDevice device, final Disk disk) {
    final List<DeviceCare.Pair> made = new ArrayList<>();
    try {
      for (int reactor = 0; reactor < reactorCount; reactor++) {
        // What a master before this one has left there, without a slave alive, is replaced.
        final DeviceQueueSegment segment =
            DeviceQueueSegment.create(segments, disk.bdev(), reactor, geometry(device, disk));
        final DeviceCare.Pair pair = new DeviceCare.Pair(disk.bdev(), segment);
        keep(pair);
        device.dma().map(segment.address(), segment.geometry().iova(), segment.lengthBytes());
        made.add(pair);
      }
    } catch (final RuntimeException e) {
      made.forEach(pair -> unmap(device, pair));
      // Also the one that could not be mapped: its addresses are not used again.
      forget(of(List.of(disk.bdev())));
      deleteFiles(disk.bdev());
      throw e;
    }
    return made;
  }

  private static void unmap(final NvmeDevice device, final DeviceCare.Pair pair) {
    final long iova = pair.queue().geometry().iova();
    device.dma().unmap(iova, pair.queue().lengthBytes());
    if (!device.isAdopted()) {
      device.releaseIova(iova);
    }
  }

  private List<DeviceCare.Pair> of(final List<String> bdevs) {
    return pairs.stream().filter(pair -> bdevs.contains(pair.bdev())).toList();
  }

  private DeviceQueueGeometry geometry(final NvmeDevice device, final Disk disk) {
    final ControllerIdentity identity = device.identity();
    final int entryCount = Math.min(ENTRY_COUNT, device.entryCountMax());
    final int slotCount = entryCount - 1;
    final long transferMax = identity.transferBytesMax();
    return new DeviceQueueGeometry(
        entryCount,
        slotCount,
        freeQueueId(),
        disk.nsid(),
        device.takeIova(DeviceQueueSegment.length(entryCount, slotCount), PrpEntry.PAGE_BYTES),
        disk.firstBlock(),
        disk.blockCount(),
        disk.blockBytes(),
        transferMax == 0 ? TRANSFER_BYTES_MAX : (int) Math.min(TRANSFER_BYTES_MAX, transferMax),
        features(identity));
  }

  private int freeQueueId() {
    int id = 1;
    while (isTaken(id)) {
      id++;
    }
    return id;
  }

  private boolean isTaken(final int queueId) {
    return pairs.stream().anyMatch(pair -> pair.queue().geometry().queueId() == queueId);
  }

  private static int features(final ControllerIdentity identity) {
    int features = identity.writeCache() ? DeviceQueueGeometry.FEATURE_WRITE_CACHE : 0;
    if ((identity.commands() & IdentifyController.ONCS_WRITE_ZEROES) != 0) {
      features |= DeviceQueueGeometry.FEATURE_WRITE_ZEROES;
    }
    if ((identity.commands() & IdentifyController.ONCS_DATASET_MANAGEMENT) != 0) {
      features |= DeviceQueueGeometry.FEATURE_DATASET_MANAGEMENT;
    }
    return features;
  }

  /** Creates the queues of a bdev on a device that nobody else uses yet, and lets slaves in. */
  static void create(final NvmeDevice device, final List<DeviceCare.Pair> made) {
    for (final DeviceCare.Pair pair : made) {
      final DeviceQueueSegment queue = pair.queue();
      device.createQueuePair(
          new QueuePairAddress(
              queue.geometry().queueId(),
              queue.geometry().entryCount(),
              queue.sqIova(),
              queue.cqIova()));
      queue.openGate(true);
    }
  }

  /**
   * Takes over those that slaves drive.
   *
   * @throws io.virtnvme.ipc.segment.BadSegmentException for one that is damaged; none is taken then
   */
  void adopt(final List<String> bdevs) {
    try {
      for (final String bdev : bdevs) {
        for (int i = 0; Files.exists(segments.nvmeQueue(bdev, i)); i++) {
          keep(new DeviceCare.Pair(bdev, DeviceQueueSegment.open(segments, bdev, i)));
        }
      }
    } catch (final RuntimeException e) {
      forget();
      throw e;
    }
  }

  private void keep(final DeviceCare.Pair pair) {
    final List<DeviceCare.Pair> grown = new ArrayList<>(pairs);
    grown.add(pair);
    pairs = List.copyOf(grown);
  }

  /** Takes those of bdevs away that neither the device nor a slave has any more. */
  void unmake(final NvmeDevice device, final List<String> bdevs) {
    final List<DeviceCare.Pair> gone = of(bdevs);
    gone.forEach(pair -> unmap(device, pair));
    forget(gone);
    bdevs.forEach(this::deleteFiles);
  }

  private void forget(final List<DeviceCare.Pair> gone) {
    pairs = pairs.stream().filter(pair -> !gone.contains(pair)).toList();
    gone.forEach(pair -> pair.queue().close());
  }

  /** Leaves all of them to others. */
  void forget() {
    forget(pairs);
  }

  /** Removes all of them; the device does not reach them any more. */
  void release() {
    final List<String> bdevs = pairs.stream().map(DeviceCare.Pair::bdev).distinct().toList();
    forget();
    bdevs.forEach(this::deleteFiles);
  }

  private void deleteFiles(final String bdev) {
    for (int i = 0; Files.exists(segments.nvmeQueue(bdev, i)); i++) {
      try {
        Files.delete(segments.nvmeQueue(bdev, i));
      } catch (final IOException e) {
        LOG.warn("cannot remove {}: {}", segments.nvmeQueue(bdev, i), e.getMessage());
      }
    }
  }

  /**
   * Where each is now, for {@link #isPast}: what a slave that has just died had given to the device
   * comes before.
   */
  List<Mark> marks() {
    return pairs.stream()
        .map(pair -> new Mark(pair.queue(), pair.queue().creation(), pair.queue().submitted()))
        .toList();
  }

  /** Whether the device has ended everything that it was given before. */
  boolean isPast(final List<Mark> marks) {
    for (final Mark mark : marks) {
      final DeviceQueueSegment queue = mark.queue();
      // One that is gone was deleted on the device, with all that was in it.
      if (pairs.stream().anyMatch(pair -> pair.queue() == queue)) {
        for (int slot = 0; slot < queue.geometry().slotCount(); slot++) {
          final long place = queue.place(slot);
          if (place > 0 && place <= mark.submitted() && queue.creation() == mark.creation()) {
            return false;
          }
        }
      }
    }
    return true;
  }
}

package io.virtnvme.master.supervisor;

import io.virtnvme.ipc.nvme.IdentifyController;
import io.virtnvme.ipc.nvme.PrpEntry;
import io.virtnvme.ipc.nvme.queue.DeviceQueueGeometry;
import io.virtnvme.ipc.nvme.queue.DeviceQueueSegment;
import io.virtnvme.ipc.segment.BadSegmentException;
import io.virtnvme.ipc.segment.SegmentDirectory;
import io.virtnvme.master.nvme.ControllerIdentity;
import io.virtnvme.master.nvme.NvmeDevice;
import io.virtnvme.master.nvme.QueuePairAddress;
import java.io.IOException;
import java.nio.file.Files;
import java.util.ArrayList;
import java.util.Collection;
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
        final DeviceQueueSegment segment = segment(device, disk, reactor);
        final DeviceCare.Pair pair = new DeviceCare.Pair(disk.bdev(), segment);
        keep(pair);
        device.dma().map(segment.address(), segment.geometry().iova(), segment.lengthBytes());
        made.add(pair);
      }
    } catch (final RuntimeException e) {
      made.forEach(pair -> unmap(device, pair));
      // Also the one that could not be mapped: its addresses are not used again.
      forget(of(List.of(disk.bdev())));
      deleteFiles(disk.bdev(), 0);
      throw e;
    }
    return made;
  }

  private DeviceQueueSegment segment(final NvmeDevice device, final Disk disk, final int reactor) {
    final DeviceQueueGeometry geometry = geometry(device, disk);
    try {
      return DeviceQueueSegment.create(segments, disk.bdev(), reactor, geometry);
    } catch (final RuntimeException e) {
      device.releaseIova(geometry.iova());
      throw e;
    }
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
   * @throws BadSegmentException for one that is damaged, or has the queue id of another; none is
   *     taken then
   */
  void adopt(final List<String> bdevs) {
    try {
      for (final String bdev : bdevs) {
        for (int i = 0; i < reactorCount && Files.exists(segments.nvmeQueue(bdev, i)); i++) {
          adopt(bdev, i);
        }
      }
    } catch (final RuntimeException e) {
      forget();
      throw e;
    }
  }

  private void adopt(final String bdev, final int index) {
    final DeviceQueueSegment queue = DeviceQueueSegment.open(segments, bdev, index);
    final int queueId = queue.geometry().queueId();
    if (isTaken(queueId)) {
      queue.close();
      throw new BadSegmentException(
          segments.nvmeQueue(bdev, index), "queue " + queueId + " is another one's, too");
    }
    keep(new DeviceCare.Pair(bdev, queue));
  }

  /** Whether a bdev has queue pairs. */
  boolean isServed(final String bdev) {
    return pairs.stream().anyMatch(pair -> pair.bdev().equals(bdev));
  }

  /**
   * Removes what an attachment before this one has left of these bdevs: a slave that finds such a
   * file would ring the doorbells of a queue that is another bdev's by now.
   */
  void removeStale(final Collection<String> bdevs) {
    bdevs.forEach(bdev -> deleteFiles(bdev, isServed(bdev) ? reactorCount : 0));
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
    bdevs.forEach(bdev -> deleteFiles(bdev, 0));
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
    bdevs.forEach(bdev -> deleteFiles(bdev, 0));
  }

  /** The last one first: what a master that dies here leaves is found from the first on. */
  private void deleteFiles(final String bdev, final int first) {
    int count = first;
    while (Files.exists(segments.nvmeQueue(bdev, count))) {
      count++;
    }
    for (int i = count - 1; i >= first; i--) {
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

package io.virtnvme.master.supervisor;

import static java.nio.charset.StandardCharsets.UTF_8;

import io.virtnvme.ipc.nvme.IdentifyController;
import io.virtnvme.ipc.nvme.PrpEntry;
import io.virtnvme.ipc.nvme.queue.DeviceQueueGeometry;
import io.virtnvme.ipc.nvme.queue.DeviceQueueSegment;
import io.virtnvme.ipc.segment.BadSegmentException;
import io.virtnvme.ipc.segment.SegmentDirectory;
import io.virtnvme.ipc.sys.Fds;
import io.virtnvme.ipc.sys.SysException;
import io.virtnvme.master.nvme.ControllerIdentity;
import io.virtnvme.master.nvme.DeviceHandles;
import io.virtnvme.master.nvme.HostPaths;
import io.virtnvme.master.nvme.NamespaceIdentity;
import io.virtnvme.master.nvme.NvmeDevice;
import io.virtnvme.master.nvme.NvmeDeviceException;
import io.virtnvme.master.nvme.NvmeOptions;
import io.virtnvme.master.nvme.PciAddress;
import io.virtnvme.master.nvme.QueuePairAddress;
import io.virtnvme.master.rpc.NvmeControllerSpec;
import io.virtnvme.master.rpc.RpcException;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HexFormat;
import java.util.List;
import java.util.UUID;
import java.util.concurrent.Executor;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.TimeUnit;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * One NVMe device and the queue pairs of its bdevs, one for each reactor. Methods wait for the
 * device; they run on a thread of its own, which {@link #thread} gives tasks to. What is volatile
 * may be asked by any.
 */
final class DeviceDriver {
  private static final Logger LOG = LoggerFactory.getLogger(DeviceDriver.class);
  private static final int QUEUE_PAIRS_WANTED = 64;

  /** Each entry has pages of its own in locked memory, 20 KiB. */
  private static final int ENTRY_COUNT = 256;

  private static final int TRANSFER_BYTES_MAX = 1 << 20;

  /** I/O addresses for all guests of one slave; 39 bits of an IOMMU are room for some of them. */
  static final long WINDOW_BYTES = 32L << 30;

  private static final long WINDOW_ALIGNMENT_BYTES = 2L << 20;
  private static final int WINDOW_COUNT = 12;
  private static final NvmeOptions OPTIONS =
      new NvmeOptions(QUEUE_PAIRS_WANTED, TimeUnit.SECONDS.toNanos(10));

  /**
   * What a device turned out to be.
   *
   * @param wasKernels a driver of the kernel had it before
   * @param namespaces that can be bdevs, and have their queue pairs
   */
  record Found(boolean wasKernels, List<NvmeControllerSpec.Namespace> namespaces) {}

  private final NvmeControllerSpec spec;
  private final HostPaths paths;
  private final SegmentDirectory segments;
  private final int reactorCount;
  private final NvmeDevice.Listener listener;
  private final ExecutorService thread;
  private final List<DeviceQueueSegment> pairs = new ArrayList<>();
  private final List<Path> files = new ArrayList<>();
  private volatile List<DeviceCare.Pair> watched = List.of();
  private volatile NvmeDevice device;
  private volatile DeviceHandles handles;

  /** Empty for a device that was adopted: nobody here knows what its slaves have. */
  private volatile List<Long> windows = List.of();

  private volatile List<String> problems = List.of();

  /**
   * Prepares everything and touches nothing.
   *
   * @param reactorCount queue pairs for each bdev
   * @param listener called by the device's thread
   */
  DeviceDriver(
      final NvmeControllerSpec spec,
      final HostPaths paths,
      final SegmentDirectory segments,
      final int reactorCount,
      final NvmeDevice.Listener listener) {
    this.spec = spec;
    this.paths = paths;
    this.segments = segments;
    this.reactorCount = reactorCount;
    this.listener = listener;
    thread =
        Executors.newSingleThreadExecutor(
            task -> {
              final Thread made = new Thread(task, "nvme-" + spec.name());
              made.setDaemon(true);
              return made;
            });
  }

  Executor thread() {
    return thread;
  }

  /** The device; null before it was attached and after it was detached. */
  NvmeDevice device() {
    return device;
  }

  /** What slaves need to reach the device; while there is one. */
  DeviceHandles handles() {
    return handles;
  }

  /** Why namespaces are no bdevs. */
  List<String> problems() {
    return problems;
  }

  private NvmeDevice required() {
    final NvmeDevice now = device;
    if (now == null) {
      throw new RpcException(
          RpcException.EBUSY, "controller " + spec.name() + " is not attached at the moment");
    }
    return now;
  }

  /** A device's failure as an answer; anything else is a fault of ours. */
  private RuntimeException answer(final RuntimeException failure) {
    if (failure instanceof NvmeDeviceException known) {
      return new RpcException(
          -known.errno(), "NVMe controller " + spec.name() + ": " + known.getMessage());
    }
    if (failure instanceof SysException sys) {
      return new RpcException(
          -sys.errno(), "NVMe controller " + spec.name() + ": " + sys.getMessage());
    }
    return failure;
  }

  /** Takes the device from the kernel and makes a queue pair for each bdev and reactor. */
  Found attach() {
    NvmeDevice made = null;
    try {
      made = NvmeDevice.attach(paths, PciAddress.parse(spec.address()), OPTIONS, listener);
      final List<NvmeControllerSpec.Namespace> usable = makePairs(made);
      handles = made.handles();
      windows = List.copyOf(takeWindows(made));
      device = made;
      return new Found(made.wasKernels(), usable);
    } catch (final RuntimeException e) {
      if (made != null) {
        made.detach(made.wasKernels());
      }
      releasePairs();
      throw answer(e);
    }
  }

  private List<NvmeControllerSpec.Namespace> makePairs(final NvmeDevice made) {
    final List<NvmeControllerSpec.Namespace> usable = new ArrayList<>();
    final List<String> left = new ArrayList<>();
    for (final NamespaceIdentity namespace : made.namespaces()) {
      String problem = namespace.problem();
      if (problem.isEmpty() && pairs.size() + reactorCount > made.queuePairCount()) {
        problem =
            "the controller grants "
                + made.queuePairCount()
                + " queue pairs, and each bdev needs "
                + reactorCount;
      }
      if (problem.isEmpty()) {
        for (int reactor = 0; reactor < reactorCount; reactor++) {
          makePair(made, namespace, reactor);
        }
        usable.add(
            new NvmeControllerSpec.Namespace(
                namespace.id(),
                uuid(made.identity(), namespace),
                namespace.blockBytes(),
                namespace.blockCount()));
      } else {
        left.add("namespace " + Integer.toUnsignedString(namespace.id()) + ": " + problem);
      }
    }
    problems = List.copyOf(left);
    return usable;
  }

  private void makePair(
      final NvmeDevice made, final NamespaceIdentity namespace, final int reactor) {
    final ControllerIdentity identity = made.identity();
    final int entryCount = Math.min(ENTRY_COUNT, made.entryCountMax());
    final int slotCount = entryCount - 1;
    final long lengthBytes = DeviceQueueSegment.length(entryCount, slotCount);
    final long transferMax = identity.transferBytesMax();
    final DeviceQueueGeometry geometry =
        new DeviceQueueGeometry(
            entryCount,
            slotCount,
            pairs.size() + 1,
            namespace.id(),
            made.takeIova(lengthBytes, PrpEntry.PAGE_BYTES),
            0,
            namespace.blockCount(),
            namespace.blockBytes(),
            transferMax == 0 ? TRANSFER_BYTES_MAX : (int) Math.min(TRANSFER_BYTES_MAX, transferMax),
            features(identity));
    final String bdev = spec.bdevName(namespace.id());
    // What a master before this one has left there, without a slave alive, is replaced.
    final DeviceQueueSegment segment = DeviceQueueSegment.create(segments, bdev, reactor, geometry);
    keep(bdev, segment);
    files.add(segments.nvmeQueue(bdev, reactor));
    made.dma().map(segment.address(), geometry.iova(), segment.lengthBytes());
    made.createQueuePair(address(segment));
    segment.openGate(true);
  }

  private static QueuePairAddress address(final DeviceQueueSegment segment) {
    return new QueuePairAddress(
        segment.geometry().queueId(),
        segment.geometry().entryCount(),
        segment.sqIova(),
        segment.cqIova());
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

  /** The same after each attach, so that a disk keeps what is known of it. */
  private static UUID uuid(final ControllerIdentity identity, final NamespaceIdentity namespace) {
    if (namespace.nguid().chars().anyMatch(digit -> digit != '0')) {
      final ByteBuffer nguid = ByteBuffer.wrap(HexFormat.of().parseHex(namespace.nguid()));
      return new UUID(nguid.getLong(), nguid.getLong());
    }
    final String said =
        String.join(
            "|",
            identity.model(),
            identity.serial(),
            namespace.eui64(),
            Integer.toUnsignedString(namespace.id()));
    return UUID.nameUUIDFromBytes(said.getBytes(UTF_8));
  }

  /**
   * Takes over a device whose queue pairs living slaves drive, and lets it be.
   *
   * @param heldHandles become the device's
   */
  void adopt(final DeviceHandles heldHandles, final List<String> bdevs) {
    try {
      for (final String bdev : bdevs) {
        for (int i = 0; Files.exists(segments.nvmeQueue(bdev, i)); i++) {
          keep(bdev, DeviceQueueSegment.open(segments, bdev, i));
          files.add(segments.nvmeQueue(bdev, i));
        }
      }
    } catch (final BadSegmentException e) {
      Fds.close(heldHandles.containerFd());
      Fds.close(heldHandles.deviceFd());
      forgetPairs();
      // Without all of them a reset would leave queues behind: none must be made.
      throw new RpcException(RpcException.EIO, e.getMessage());
    }
    handles = heldHandles;
    try {
      device =
          NvmeDevice.adopt(paths, PciAddress.parse(spec.address()), heldHandles, OPTIONS, listener);
    } catch (final RuntimeException e) {
      forgetPairs();
      throw answer(e);
    }
  }

  private void keep(final String bdev, final DeviceQueueSegment segment) {
    pairs.add(segment);
    final List<DeviceCare.Pair> grown = new ArrayList<>(watched);
    grown.add(new DeviceCare.Pair(bdev, segment));
    watched = List.copyOf(grown);
  }

  /** The queue pairs, until {@link #detach} or {@link #leave}. */
  List<DeviceCare.Pair> pairs() {
    return watched;
  }

  /**
   * Where each queue pair is now, for {@link #clearIfPast}: what a slave that has just died had
   * given to the device comes before.
   */
  long[] marks() {
    final long[] marks = new long[2 * pairs.size()];
    for (int i = 0; i < pairs.size(); i++) {
      marks[2 * i] = pairs.get(i).creation();
      marks[2 * i + 1] = pairs.get(i).submitted();
    }
    return marks;
  }

  /** Whether the device has ended everything that it was given before. */
  private boolean isPast(final long[] marks) {
    for (int i = 0; i < pairs.size() && 2 * i < marks.length; i++) {
      final DeviceQueueSegment pair = pairs.get(i);
      for (int slot = 0; slot < pair.geometry().slotCount(); slot++) {
        final long place = pair.place(slot);
        if (place > 0 && place <= marks[2 * i + 1] && pair.creation() == marks[2 * i]) {
          return false;
        }
      }
    }
    return true;
  }

  /** Ranges of I/O addresses for slaves, as many as there is room for. */
  List<Long> windows() {
    return windows;
  }

  private static List<Long> takeWindows(final NvmeDevice made) {
    final List<Long> taken = new ArrayList<>();
    try {
      for (int i = 0; i < WINDOW_COUNT; i++) {
        taken.add(made.takeIova(WINDOW_BYTES, WINDOW_ALIGNMENT_BYTES));
      }
    } catch (final NvmeDeviceException e) {
      // An IOMMU with few address bits: so many slaves reach guests directly, others do not.
    }
    return taken;
  }

  /** Ends every mapping in a dead slave's window, if the device uses none of them any more. */
  boolean clearIfPast(final long windowBase, final long[] marks) {
    final NvmeDevice now = device;
    if (now == null || !isPast(marks)) {
      return now == null;
    }
    now.dma().unmap(windowBase, WINDOW_BYTES);
    return true;
  }

  /** Runs a question to the device. */
  <T> T ask(final java.util.function.Function<NvmeDevice, T> question) {
    try {
      return question.apply(required());
    } catch (final RuntimeException e) {
      throw answer(e);
    }
  }

  /** Shuts the device down and gives it back; no slave reaches it any more. */
  void detach(final boolean giveBack) {
    final NvmeDevice gone = device;
    device = null;
    if (gone != null) {
      final RuntimeException failure = gone.detach(giveBack);
      if (failure != null) {
        LOG.warn("NVMe controller {} was detached, but: {}", spec.name(), failure.getMessage());
      }
    }
    releasePairs();
    thread.shutdown();
  }

  /** Leaves the device to the slaves that drive it, and to a master that comes. */
  void leave() {
    final NvmeDevice left = device;
    device = null;
    if (left != null) {
      left.leave();
    }
    forgetPairs();
    thread.shutdown();
  }

  private void forgetPairs() {
    pairs.forEach(DeviceQueueSegment::close);
    pairs.clear();
    watched = List.of();
    files.clear();
  }

  private void releasePairs() {
    for (final Path file : files) {
      try {
        Files.deleteIfExists(file);
      } catch (final IOException e) {
        LOG.warn("cannot remove {}: {}", file, e.getMessage());
      }
    }
    forgetPairs();
  }
}

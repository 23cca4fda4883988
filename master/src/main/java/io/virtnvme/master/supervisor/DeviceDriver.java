package io.virtnvme.master.supervisor;

import static java.nio.charset.StandardCharsets.UTF_8;

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
import io.virtnvme.master.rpc.NvmeControllerSpec;
import io.virtnvme.master.rpc.RpcException;
import java.nio.ByteBuffer;
import java.util.ArrayList;
import java.util.HexFormat;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Set;
import java.util.UUID;
import java.util.concurrent.Executor;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
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

  private static final String GONE = "its namespace is gone, smaller, or was formatted";

  /** I/O addresses for all guests of one slave; 39 bits of an IOMMU are room for some of them. */
  static final long WINDOW_BYTES = 32L << 30;

  private static final long WINDOW_ALIGNMENT_BYTES = 2L << 20;
  private static final int WINDOW_COUNT = 12;

  /**
   * What a device turned out to be.
   *
   * @param wasKernels a driver of the kernel had it before
   * @param namespaces that can be bdevs, and have their queue pairs
   */
  record Found(boolean wasKernels, List<NvmeControllerSpec.Namespace> namespaces) {}

  private final NvmeControllerSpec spec;
  private final HostPaths paths;
  private final NvmeDevice.Listener listener;
  private final ExecutorService thread;
  private final DeviceQueues queues;

  /** Limit of one admin command. Device's thread. */
  private long adminNsMax;

  private volatile NvmeDevice device;
  private volatile DeviceHandles handles;

  /** Empty for a device that was adopted: nobody here knows what its slaves have. */
  private volatile List<Long> windows = List.of();

  private volatile List<String> problems = List.of();

  /**
   * Prepares everything and touches nothing.
   *
   * @param reactorCount queue pairs for each bdev
   * @param adminNsMax limit of one admin command
   * @param listener called by the device's thread
   */
  DeviceDriver(
      final NvmeControllerSpec spec,
      final HostPaths paths,
      final SegmentDirectory segments,
      final int reactorCount,
      final long adminNsMax,
      final NvmeDevice.Listener listener) {
    this.spec = spec;
    this.paths = paths;
    this.adminNsMax = adminNsMax;
    this.listener = listener;
    queues = new DeviceQueues(segments, reactorCount);
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
    if (BdevFiles.isNoSpace(failure)) {
      return new RpcException(
          RpcException.ENOSPC,
          "NVMe controller "
              + spec.name()
              + ": no memory for queue pairs: "
              + failure.getMessage()
              + "; make /dev/shm larger");
    }
    return failure;
  }

  private NvmeOptions options() {
    return new NvmeOptions(QUEUE_PAIRS_WANTED, adminNsMax);
  }

  /** Limit of one admin command from now on. */
  void adminNsMax(final long limitNs) {
    adminNsMax = limitNs;
    final NvmeDevice now = device;
    if (now != null) {
      now.adminTimeoutNs(limitNs);
    }
  }

  /**
   * Takes the device from the kernel and makes a queue pair for each bdev and reactor.
   *
   * @param parts of namespaces that are bdevs besides; those whose namespace is gone are left out
   */
  Found attach(final List<NvmeControllerSpec.Part> parts) {
    NvmeDevice made = null;
    try {
      made = NvmeDevice.attach(paths, PciAddress.parse(spec.address()), options(), listener);
      final List<NvmeControllerSpec.Namespace> usable = makeQueues(made, parts);
      handles = made.handles();
      windows = List.copyOf(takeWindows(made));
      device = made;
      return new Found(made.wasKernels(), usable);
    } catch (final RuntimeException e) {
      if (made != null) {
        made.detach(made.wasKernels());
      }
      queues.release();
      throw answer(e);
    }
  }

  private List<NvmeControllerSpec.Namespace> makeQueues(
      final NvmeDevice made, final List<NvmeControllerSpec.Part> parts) {
    final List<NvmeControllerSpec.Namespace> usable = new ArrayList<>();
    final List<String> left = new ArrayList<>();
    for (final NamespaceIdentity namespace : made.namespaces()) {
      final String problem =
          namespace.problem().isEmpty() ? queues.problem(made, 1) : namespace.problem();
      if (problem.isEmpty()) {
        final DeviceQueues.Disk disk =
            new DeviceQueues.Disk(
                spec.bdevName(namespace.id()),
                namespace.id(),
                namespace.blockBytes(),
                0,
                namespace.blockCount());
        DeviceQueues.create(made, queues.make(made, disk));
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
    for (final NvmeControllerSpec.Part part : parts) {
      final String problem = usable.stream().anyMatch(part::fits) ? queues.problem(made, 1) : GONE;
      if (problem.isEmpty()) {
        DeviceQueues.create(made, queues.make(made, disk(part)));
      } else {
        left.add("bdev " + part.bdev().name() + ": " + problem);
      }
    }
    problems = List.copyOf(left);
    final Set<String> known = new LinkedHashSet<>();
    spec.bdevs().forEach(bdev -> known.add(bdev.name()));
    parts.forEach(part -> known.add(part.bdev().name()));
    made.namespaces().forEach(namespace -> known.add(spec.bdevName(namespace.id())));
    queues.removeStale(known);
    return usable;
  }

  private static DeviceQueues.Disk disk(final NvmeControllerSpec.Part part) {
    return new DeviceQueues.Disk(
        part.bdev().name(),
        part.nsid(),
        part.bdev().blockSize(),
        part.firstBlock(),
        part.bdev().numBlocks());
  }

  /**
   * Makes the segments of parts of a namespace; their queues are to be created, and their gates
   * opened.
   */
  List<DeviceCare.Pair> makeParts(final List<NvmeControllerSpec.Part> parts) {
    final NvmeDevice now = required();
    if (now.isAdopted()) {
      throw new RpcException(
          RpcException.EBUSY,
          "controller "
              + spec.name()
              + " was brought up by a master before this one: detach it and attach it again first");
    }
    final String problem = queues.problem(now, parts.size());
    if (!problem.isEmpty()) {
      throw new RpcException(RpcException.ENOSPC, problem);
    }
    final List<DeviceCare.Pair> made = new ArrayList<>();
    try {
      parts.forEach(part -> made.addAll(queues.make(now, disk(part))));
    } catch (final RuntimeException e) {
      queues.unmake(now, made.stream().map(DeviceCare.Pair::bdev).distinct().toList());
      throw answer(e);
    }
    return made;
  }

  /** Takes the segments of bdevs away that neither the controller nor a slave has any more. */
  void unmake(final List<String> bdevs) {
    final NvmeDevice now = device;
    if (now != null) {
      queues.unmake(now, bdevs);
    }
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
      queues.adopt(bdevs);
    } catch (final BadSegmentException e) {
      Fds.close(heldHandles.containerFd());
      Fds.close(heldHandles.deviceFd());
      // Without all of them a reset would leave queues behind: none must be made.
      throw new RpcException(RpcException.EIO, e.getMessage());
    }
    handles = heldHandles;
    try {
      device =
          NvmeDevice.adopt(
              paths, PciAddress.parse(spec.address()), heldHandles, options(), listener);
    } catch (final RuntimeException e) {
      queues.forget();
      throw answer(e);
    }
  }

  /** The queue pairs, until {@link #detach} or {@link #leave}. */
  List<DeviceCare.Pair> pairs() {
    return queues.pairs();
  }

  /** Where each queue pair is now, for {@link #clearIfPast}. */
  List<DeviceQueues.Mark> marks() {
    return queues.marks();
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
  boolean clearIfPast(final long windowBase, final List<DeviceQueues.Mark> marks) {
    final NvmeDevice now = device;
    if (now == null || !queues.isPast(marks)) {
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
    queues.release();
    thread.shutdown();
  }

  /** Leaves the device to the slaves that drive it, and to a master that comes. */
  void leave() {
    final NvmeDevice left = device;
    device = null;
    if (left != null) {
      left.leave();
    }
    queues.forget();
    thread.shutdown();
  }
}

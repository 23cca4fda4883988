package io.virtnvme.tools.bench;

import io.virtnvme.ipc.disk.DiskFrontEnd;
import io.virtnvme.ipc.disk.DiskQueue;
import io.virtnvme.ipc.memory.Mem;
import io.virtnvme.ipc.nvme.client.NvmeClient;
import io.virtnvme.ipc.nvme.client.NvmeClientConfig;
import io.virtnvme.ipc.qpair.QpairFrontEnd;
import io.virtnvme.ipc.vhostuser.VhostUserFrontEnd;
import io.virtnvme.ipc.vhostuser.VhostUserFrontEndConfig;
import io.virtnvme.ipc.virtio.BlkFeature;
import io.virtnvme.ipc.virtio.DriverQueue;
import io.virtnvme.ipc.virtio.PackedDriverQueue;
import io.virtnvme.ipc.virtio.SplitDriverQueue;
import io.virtnvme.ipc.virtio.VirtioFeature;
import io.virtnvme.tools.pair.FrontEnd;
import java.io.IOException;
import java.lang.management.ManagementFactory;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Random;
import org.HdrHistogram.Histogram;

/**
 * Carries out one order: connects, warms up, measures, disconnects. The client's polling thread.
 */
final class ClientRun {
  /** Header, data, status. */
  private static final int DESCRIPTORS_PER_REQUEST = 3;

  private static final int QUEUE_SIZE_LEAST = 128;
  private static final long RING_BYTES = 1 << 20;

  /** NVMe: one of PRPs for each request. */
  private static final int PAGE_BYTES = 4096;

  private static final long HUGE_PAGE_BYTES = 2 << 20;
  private static final long STALL_LIMIT_NS = 10_000_000_000L;
  private static final long HANG_UP_CHECK_NS = 100_000_000L;
  private static final long PLACES_MAX = Integer.MAX_VALUE;
  private static final double NS_PER_US = 1e3;

  private final RunOrder order;
  private final int queueSize;
  private final long seed = new Random().nextLong();

  ClientRun(final RunOrder order) {
    this.order = order;
    this.queueSize =
        Math.max(
            QUEUE_SIZE_LEAST,
            Integer.highestOneBit(order.queueDepth() * DESCRIPTORS_PER_REQUEST * 2 - 1));
  }

  /**
   * Runs it.
   *
   * @throws BenchException when the back-end fails in the middle
   * @throws io.virtnvme.ipc.vhostuser.VhostUserFrontEndException when it cannot be reached, or
   *     lacks what the order asks for
   */
  RunResult execute() {
    final double oneWayNs =
        order.clientCore() >= 0 && order.peerCore() >= 0 ? PingPong.oneWayNs(order.peerCore()) : 0;
    return order.socket() == null ? againstIdlePeer(oneWayNs) : againstBackEnd(oneWayNs);
  }

  private RunResult againstIdlePeer(final double oneWayNs) {
    final long features =
        VirtioFeature.of(VirtioFeature.VERSION_1)
            | (order.indirect() ? VirtioFeature.of(VirtioFeature.RING_INDIRECT_DESC) : 0);
    final long ringBytes =
        order.packed()
            ? PackedDriverQueue.length(queueSize, 1)
            : SplitDriverQueue.length(queueSize, 1);
    final long bufferBytes = (long) order.queueDepth() * order.work().ioBytes();
    final long alignment = 4096;
    final long memory = Mem.allocate(ringBytes + bufferBytes + alignment);
    final long rings = (memory + alignment - 1) & -alignment;
    final DriverQueue queue =
        order.packed()
            ? new PackedDriverQueue(rings, rings, queueSize, features, 1)
            : new SplitDriverQueue(rings, rings, queueSize, features, 1);
    queue.disableCalls();
    final IdlePeer peer = IdlePeer.start(queue, order.packed(), order.peerCore());
    try {
      final LoadLoop loop =
          loop(queue, () -> {}, this::checkStall, rings + ringBytes, order.rangeBytes());
      return measure(loop, List.of(), oneWayNs, false);
    } finally {
      peer.close();
      Mem.free(memory);
    }
  }

  private void checkStall(final long stalledNs, final int inFlightCount) {
    if (stalledNs > STALL_LIMIT_NS) {
      throw new BenchException(
          "no completion for "
              + STALL_LIMIT_NS / 1_000_000_000L
              + " s with "
              + inFlightCount
              + " requests in flight");
    }
  }

  private RunResult againstBackEnd(final double oneWayNs) {
    final long memoryBytes =
        RING_BYTES
            + (long) queueSize * PAGE_BYTES
            + (long) order.queueDepth() * order.work().ioBytes();
    final boolean hugePages = freeHugePages() * HUGE_PAGE_BYTES >= memoryBytes + HUGE_PAGE_BYTES;
    try (DiskFrontEnd frontEnd = connect(memoryBytes, hugePages)) {
      final long usableBytes = Math.min(order.rangeBytes(), frontEnd.capacityBytes());
      final long data = frontEnd.dataGuestAddress();
      // No zeroes: a back-end might treat those in another way.
      Mem.fill(frontEnd.toHost(data), frontEnd.dataBytes(), (byte) 0xA5);
      final LoadLoop loop =
          loop(
              frontEnd.queue(0),
              () -> frontEnd.kick(0),
              (stalledNs, inFlightCount) -> {
                if (stalledNs > HANG_UP_CHECK_NS && !frontEnd.isConnected()) {
                  throw new BenchException(
                      "the back-end at " + order.socket() + " hung up in the middle of a run");
                }
                checkStall(stalledNs, inFlightCount);
              },
              data,
              usableBytes);
      final int peerPid = frontEnd.peerPid();
      final List<Integer> pids =
          order.watchPids().isEmpty() && peerPid > 0 ? List.of(peerPid) : order.watchPids();
      final RunResult result = measure(loop, pids, oneWayNs, hugePages);
      if (frontEnd instanceof VhostUserFrontEnd vhost) {
        vhost.stop();
      }
      return result;
    }
  }

  private DiskFrontEnd connect(final long memoryBytes, final boolean hugePages) {
    if (order.blkioLibrary() != null) {
      Blkio.load(order.blkioLibrary());
      return new BlkioDisk(order.socket(), queueSize, memoryBytes);
    }
    if (order.frontEnd() == FrontEnd.QPAIR) {
      return QpairFrontEnd.connect(Path.of(order.socket()), queueSize, memoryBytes);
    }
    if (order.frontEnd() == FrontEnd.NVME) {
      return NvmeClient.connect(
          new NvmeClientConfig()
              .socketPath(order.socket())
              .queueSize(queueSize)
              .hugePages(hugePages)
              .memoryBytes(memoryBytes));
    }
    final VhostUserFrontEnd frontEnd =
        VhostUserFrontEnd.connect(
            new VhostUserFrontEndConfig()
                .socketPath(order.socket())
                .queueSize(queueSize)
                .segmentMax(1)
                .packed(order.packed())
                .indirect(order.indirect())
                .inflight(order.inflight())
                .hugePages(hugePages)
                .deviceFeatures(
                    VirtioFeature.of(BlkFeature.FLUSH, BlkFeature.BLK_SIZE, BlkFeature.SEG_MAX))
                .memoryBytes(memoryBytes));
    frontEnd.queue(0).disableCalls();
    return frontEnd;
  }

  private LoadLoop loop(
      final DiskQueue queue,
      final LoadLoop.Kick kick,
      final LoadLoop.StallCheck stallCheck,
      final long buffersGuestAddress,
      final long usableBytes) {
    final long places = Math.min(PLACES_MAX, usableBytes / order.work().ioBytes());
    if (places == 0) {
      throw new BenchException(
          "the disk is too short for "
              + order.work().label()
              + ": bytes="
              + usableBytes
              + " needed="
              + order.work().ioBytes());
    }
    return new LoadLoop(
        queue,
        kick,
        stallCheck,
        order.work(),
        order.queueDepth(),
        order.ratePerSecond(),
        buffersGuestAddress,
        places,
        seed);
  }

  private RunResult measure(
      final LoadLoop loop,
      final List<Integer> pids,
      final double oneWayNs,
      final boolean hugePages) {
    loop.start();
    loop.run(System.nanoTime() + order.warmUpMs() * 1_000_000L);
    final long cpuBefore = CpuTime.ofNs(pids);
    final long clientCpuBefore = ownCpuNs();
    final long startNs = System.nanoTime();
    final long endNs = loop.run(startNs + order.runMs() * 1_000_000L);
    final long clientCpuNs = ownCpuNs() - clientCpuBefore;
    final long cpuNs = CpuTime.ofNs(pids) - cpuBefore;
    final Histogram latencies = loop.latencies();
    final double lengthNs = endNs - startNs;
    final RunResult result =
        new RunResult(
            null,
            latencies.getTotalCount() / lengthNs * 1e9,
            latencies.getMean() / NS_PER_US,
            latencies.getValueAtPercentile(50) / NS_PER_US,
            latencies.getValueAtPercentile(99) / NS_PER_US,
            latencies.getValueAtPercentile(99.9) / NS_PER_US,
            latencies.getMaxValue() / NS_PER_US,
            cpuNs / lengthNs,
            clientCpuNs / lengthNs,
            oneWayNs,
            hugePages);
    loop.drain();
    loop.checkSound();
    return result;
  }

  private static long ownCpuNs() {
    return ManagementFactory.getThreadMXBean().getCurrentThreadCpuTime();
  }

  private static long freeHugePages() {
    try {
      final Path pages = Path.of("/sys/kernel/mm/hugepages/hugepages-2048kB/free_hugepages");
      return Long.parseLong(Files.readString(pages).trim());
    } catch (final IOException | NumberFormatException e) {
      // A kernel without them.
      return 0;
    }
  }
}

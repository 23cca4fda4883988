package io.virtnvme.master.nvme;

import io.virtnvme.ipc.nvme.PrpEntry;
import io.virtnvme.ipc.nvme.queue.DeviceQueueGeometry;
import io.virtnvme.ipc.nvme.queue.DeviceQueueSegment;
import io.virtnvme.ipc.nvme.soft.SoftNvmeDevice;
import io.virtnvme.ipc.nvme.soft.SoftOptions;
import io.virtnvme.ipc.segment.BootId;
import io.virtnvme.ipc.segment.SegmentDirectory;
import java.nio.file.Path;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.locks.LockSupport;

/** A device in software for tests of other packages, up and with one queue pair. */
public final class SoftDevice implements AutoCloseable {
  private static final int ENTRY_COUNT = 8;
  private static final int SLOT_COUNT = 7;
  private static final int TRANSFER_BYTES_MAX = 128 * 1024;
  private static final int QUEUES_WANTED = 4;

  private final SoftNvmeDevice hardware = new SoftNvmeDevice(SoftOptions.small());
  private final SoftPort port;
  private final NvmeController controller;
  private final NvmeDevice device;
  private final SegmentDirectory directory;
  private final DeviceQueueSegment queue;
  private final SoftSlave slave;

  public SoftDevice(final Path folder) {
    port = new SoftPort(hardware);
    controller =
        new NvmeController(
            port,
            QUEUES_WANTED,
            TimeUnit.SECONDS.toNanos(10),
            System::nanoTime,
            () -> LockSupport.parkNanos(1000),
            (before, now, reason) -> {});
    controller.start();
    device = new NvmeDevice(null, port, controller, false, null);
    directory = new SegmentDirectory(folder, 7, BootId.current());
    queue = segment(1);
    device.createQueuePair(new QueuePairAddress(1, ENTRY_COUNT, queue.sqIova(), queue.cqIova()));
    queue.openGate(true);
    slave = new SoftSlave(hardware, queue);
  }

  /** A queue pair with this id that the device does not have yet; its gate is shut. */
  public DeviceQueueSegment segment(final int queueId) {
    final long lengthBytes = DeviceQueueSegment.length(ENTRY_COUNT, SLOT_COUNT);
    final long iova = device.takeIova(lengthBytes, PrpEntry.PAGE_BYTES);
    final DeviceQueueSegment made =
        DeviceQueueSegment.create(
            directory,
            "Nvme0n1",
            queueId,
            new DeviceQueueGeometry(
                ENTRY_COUNT, SLOT_COUNT, queueId, 1, iova, 0, 8192, 512, TRANSFER_BYTES_MAX, 0));
    hardware.map(made.address(), iova, made.lengthBytes());
    return made;
  }

  public NvmeDevice device() {
    return device;
  }

  public DeviceQueueSegment queue() {
    return queue;
  }

  /** The slave that drives the queue pair polls once. */
  public void pollSlave() {
    slave.poll();
  }

  /** CSTS.CFS from now on, until it is reset. */
  public void failFatally() {
    hardware.failFatally();
  }

  /** Ranges of memory that it reaches. */
  public int mappedCount() {
    return hardware.mappedCount();
  }

  /** The mapping after so many is refused. */
  public void refuseMappingAfter(final int count) {
    port.refuseMappingAfter(count);
  }

  /** All ones from now on. */
  public void unplug() {
    hardware.unplug();
  }

  @Override
  public void close() {
    controller.close();
    queue.close();
    hardware.close();
  }
}

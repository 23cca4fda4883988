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
  private final NvmeController controller;
  private final NvmeDevice device;
  private final DeviceQueueSegment queue;
  private final SoftSlave slave;

  public SoftDevice(final Path folder) {
    final SoftPort port = new SoftPort(hardware);
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
    final long lengthBytes = DeviceQueueSegment.length(ENTRY_COUNT, SLOT_COUNT);
    final long iova = device.takeIova(lengthBytes, PrpEntry.PAGE_BYTES);
    queue =
        DeviceQueueSegment.create(
            new SegmentDirectory(folder, 7, BootId.current()),
            "Nvme0n1",
            0,
            new DeviceQueueGeometry(
                ENTRY_COUNT, SLOT_COUNT, 1, 1, iova, 0, 8192, 512, TRANSFER_BYTES_MAX, 0));
    hardware.map(queue.address(), iova, queue.lengthBytes());
    device.createQueuePair(new QueuePairAddress(1, ENTRY_COUNT, queue.sqIova(), queue.cqIova()));
    queue.openGate(true);
    slave = new SoftSlave(hardware, queue);
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

  @Override
  public void close() {
    controller.close();
    queue.close();
    hardware.close();
  }
}

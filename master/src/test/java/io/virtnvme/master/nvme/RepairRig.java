package io.virtnvme.master.nvme;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.virtnvme.ipc.nvme.queue.DeviceQueueGeometry;
import io.virtnvme.ipc.nvme.queue.DeviceQueueSegment;
import io.virtnvme.ipc.nvme.soft.SoftNvmeDevice;
import io.virtnvme.ipc.segment.BootId;
import io.virtnvme.ipc.segment.SegmentDirectory;
import java.nio.file.Path;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.List;
import java.util.Queue;
import java.util.concurrent.TimeUnit;
import java.util.function.BooleanSupplier;

/**
 * A device in software under repair, with slaves on its queues. All of it is stepped in one thread;
 * the device's own thread runs its jobs between two steps, or never.
 */
final class RepairRig implements DeviceRepair.Listener, AutoCloseable {
  static final int ENTRY_COUNT = 8;
  static final int SLOT_COUNT = 7;
  private static final long STEP_NS = TimeUnit.MILLISECONDS.toNanos(10);

  final DriverRig driver = DriverRig.started();
  final SoftNvmeDevice device = driver.device;
  final DeviceRepair repair;
  final List<String> events = new ArrayList<>();
  final List<SoftSlave> slaves = new ArrayList<>();
  private final Queue<Runnable> jobs = new ArrayDeque<>();
  private final SegmentDirectory directory;
  private boolean isThreadStuck;

  RepairRig(final Path folder, final RepairOptions options) {
    directory = new SegmentDirectory(folder, 7, BootId.current());
    repair = new DeviceRepair(driver.controller, jobs::add, options, this);
  }

  @Override
  public void onRepair(
      final RepairState before, final RepairState now, final Trouble trouble, final String reason) {
    events.add(now.label() + " " + trouble.label() + ": " + reason);
  }

  @Override
  public void onNote(final Trouble trouble, final String sentence) {
    events.add("note " + trouble.label() + ": " + sentence);
  }

  @Override
  public void onQueue(final DeviceQueueSegment queue, final String problem) {
    events.add("queue " + queue.geometry().queueId() + ": " + problem);
  }

  /** The first words of what happened, and forgets it. */
  List<String> takeEvents() {
    final List<String> taken = events.stream().map(event -> event.replaceAll(":.*", "")).toList();
    events.clear();
    return taken;
  }

  DeviceQueueSegment segment(final int queueId) {
    return segment(queueId, 1);
  }

  DeviceQueueSegment segment(final int queueId, final int namespaceId) {
    final long lengthBytes = DeviceQueueSegment.length(ENTRY_COUNT, SLOT_COUNT);
    final long iova = driver.port.iovas().take(lengthBytes, 4096);
    final DeviceQueueSegment queue =
        DeviceQueueSegment.create(
            directory,
            "Nvme0n1",
            queueId,
            new DeviceQueueGeometry(
                ENTRY_COUNT, SLOT_COUNT, queueId, namespaceId, iova, 0, 8192, 512, 128 * 1024, 0));
    device.map(queue.address(), iova, queue.lengthBytes());
    return queue;
  }

  /** A slave with a queue pair of this id; it has it when the device is watched. */
  SoftSlave slave(final int queueId) {
    final SoftSlave slave = new SoftSlave(device, segment(queueId));
    slaves.add(slave);
    repair.add(slave.queue(), slave::isAlive);
    return slave;
  }

  /** The device's thread runs nothing from now on. */
  void stickThread(final boolean on) {
    isThreadStuck = on;
  }

  void step() {
    driver.pass(STEP_NS);
    repair.doWork(driver.nowNs());
    while (!isThreadStuck && !jobs.isEmpty()) {
      jobs.remove().run();
    }
    device.step();
    slaves.forEach(SoftSlave::poll);
  }

  /** Lets so much time pass, or a little more when the device is waited for. */
  void pass(final long lengthNs) {
    final long endNs = driver.nowNs() + lengthNs;
    while (driver.nowNs() < endNs) {
      step();
    }
  }

  void pass(final long length, final TimeUnit unit) {
    pass(unit.toNanos(length));
  }

  /** Steps until it is true, for so long at most; how long that took. */
  long await(final long limitNs, final BooleanSupplier condition) {
    final long beganNs = driver.nowNs();
    while (!condition.getAsBoolean()) {
      step();
      assertTrue(
          driver.nowNs() - beganNs <= limitNs,
          () -> repair.state() + " " + repair.reason() + " " + events);
    }
    return driver.nowNs() - beganNs;
  }

  long await(final RepairState state) {
    return await(TimeUnit.MINUTES.toNanos(5), () -> repair.state() == state);
  }

  /** Every slave gets its disk back. */
  void requireService() {
    await(TimeUnit.SECONDS.toNanos(10), () -> repair.state() == RepairState.WATCHING);
    pass(1, TimeUnit.SECONDS);
    for (final SoftSlave slave : slaves) {
      if (slave.isAlive()) {
        final int before = slave.endedCount();
        slave.submit(3);
        await(TimeUnit.SECONDS.toNanos(1), () -> slave.endedCount() == before + 1);
        assertEquals(0, slave.queue().inFlightCount());
      }
    }
    assertEquals(0, device.dmaFaultCount());
  }

  @Override
  public void close() {
    repair.stop();
    for (final SoftSlave slave : slaves) {
      slave.queue().close();
    }
    driver.close();
  }
}

package io.virtnvme.master.nvme;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.virtnvme.ipc.nvme.PrpEntry;
import io.virtnvme.ipc.nvme.device.DeviceMemory;
import io.virtnvme.ipc.nvme.soft.SoftNvmeDevice;
import io.virtnvme.ipc.nvme.soft.SoftOptions;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.TimeUnit;

/** A device in software, the driver on it, and a clock that only goes on when the driver waits. */
final class DriverRig implements AutoCloseable {
  static final long ADMIN_TIMEOUT_NS = TimeUnit.SECONDS.toNanos(10);
  static final int QUEUES_WANTED = 16;

  /** CAP.TO of the device in software. */
  static final long READY_NS_MAX = TimeUnit.SECONDS.toNanos(2);

  /** A driver that has the device for longer than this waits for something that has no end. */
  static final long START_NS_MAX = 3 * READY_NS_MAX + 5 * ADMIN_TIMEOUT_NS;

  private static final long PAUSE_NS = TimeUnit.MILLISECONDS.toNanos(1);
  private static final int ENTRY_COUNT = 8;

  final SoftNvmeDevice device;
  final SoftPort port;
  final List<String> steps = new ArrayList<>();
  final NvmeController controller;
  private final List<DeviceMemory> memories = new ArrayList<>();
  private long nowNs;

  DriverRig(final SoftOptions options) {
    device = new SoftNvmeDevice(options);
    port = new SoftPort(device);
    controller =
        new NvmeController(
            port,
            QUEUES_WANTED,
            ADMIN_TIMEOUT_NS,
            () -> nowNs,
            () -> nowNs += PAUSE_NS,
            (before, now, reason) -> steps.add(now.label()));
  }

  /** One with a small disk. */
  static DriverRig small() {
    return new DriverRig(SoftOptions.small());
  }

  /** A device that came up. */
  static DriverRig started() {
    final DriverRig rig = small();
    rig.controller.start();
    return rig;
  }

  long nowNs() {
    return nowNs;
  }

  void pass(final long lengthNs) {
    nowNs += lengthNs;
  }

  /** Memory that the device reaches; its address there is {@code iova}. */
  long map(final DeviceMemory memory) {
    memories.add(memory);
    final long iova = port.iovas().take(memory.lengthBytes(), PrpEntry.PAGE_BYTES);
    port.dma().map(memory.address(), iova, memory.lengthBytes());
    return iova;
  }

  /** A queue pair in memory of its own. */
  QueuePairAddress queuePair(final int queueId) {
    final long iova = map(DeviceMemory.create("nvme-test-queues", 2L * PrpEntry.PAGE_BYTES));
    return new QueuePairAddress(queueId, ENTRY_COUNT, iova, iova + PrpEntry.PAGE_BYTES);
  }

  /** Brings it up, which must fail in a bounded time; how. */
  NvmeDeviceException failedStart() {
    final long beganNs = nowNs;
    final NvmeDeviceException failure = assertThrows(NvmeDeviceException.class, controller::start);
    assertTrue(nowNs - beganNs <= START_NS_MAX, () -> "took ns: " + (nowNs - beganNs));
    requireFailed(failure);
    return failure;
  }

  /** It is in a clear state, with a sentence. */
  void requireFailed(final NvmeDeviceException failure) {
    assertEquals(ControllerState.FAILED, controller.state());
    assertEquals(failure.getMessage(), controller.reason());
    assertEquals(failure.trouble(), controller.trouble());
    assertTrue(controller.reason().length() > 20, controller::reason);
  }

  /** Lets go of the device; nothing may be left of the driver. */
  void requireNothingLeft() {
    controller.close();
    assertEquals(ControllerState.DETACHED, controller.state());
    assertTrue(port.isDmaStopped());
    assertTrue(port.isClosed());
    assertEquals(memories.size(), device.mappedCount());
    assertEquals(0, mappingsOf("nvme-admin"));
    assertEquals(0, device.dmaFaultCount());
  }

  /** Mappings of this process that have the name in theirs. */
  static long mappingsOf(final String name) {
    try (var lines = Files.lines(Path.of("/proc/self/maps"))) {
      return lines.filter(line -> line.contains(name)).count();
    } catch (final IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  @Override
  public void close() {
    controller.close();
    memories.forEach(DeviceMemory::close);
    device.close();
  }
}

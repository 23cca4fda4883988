package io.virtnvme.master.nvme;

import io.virtnvme.ipc.nvme.device.DmaSpace;
import java.util.List;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.locks.LockSupport;

/**
 * An NVMe device that this process has taken from the kernel. Methods wait for the device, each for
 * a bounded time; one thread. State, reason and identity may be read by any.
 */
public final class NvmeDevice {
  /** Hears of each step of the controller; called by the device's thread. */
  @FunctionalInterface
  public interface Listener {
    void onState(ControllerState before, ControllerState now, String reason);
  }

  private static final long PAUSE_NS = TimeUnit.MICROSECONDS.toNanos(100);

  private final PciFunction function;
  private final NvmePort port;
  private final NvmeController controller;
  private final boolean wasKernels;

  /** As the process before this one has handed them out; null when this one has opened it. */
  private final DeviceHandles adopted;

  NvmeDevice(
      final PciFunction function,
      final NvmePort port,
      final NvmeController controller,
      final boolean wasKernels,
      final DeviceHandles adopted) {
    this.adopted = adopted;
    this.function = function;
    this.port = port;
    this.controller = controller;
    this.wasKernels = wasKernels;
  }

  /**
   * Takes a device and brings its controller up.
   *
   * @throws NvmeDeviceException when that cannot be; the device is where it was then
   */
  public static NvmeDevice attach(
      final HostPaths paths,
      final PciAddress address,
      final NvmeOptions options,
      final Listener listener) {
    final PciFunction function = PciFunction.find(paths, address);
    final String group = function.isolatedGroup();
    function.requireUnused();
    final boolean wasKernels = function.takeFromKernel();
    NvmeController controller = null;
    try {
      final NvmePort port = VfioPort.open(paths, address, group);
      controller = controller(port, options, listener);
      controller.start();
      return new NvmeDevice(function, port, controller, wasKernels, null);
    } catch (final RuntimeException e) {
      if (controller != null) {
        controller.close();
      }
      if (wasKernels) {
        giveBack(function, e);
      }
      throw e;
    }
  }

  /**
   * Takes over a device that a master before this one has brought up, and whose queues slaves
   * drive; it is {@link ControllerState#ADOPTED}, or failed with the reason.
   *
   * @param handles become the device's, also when this throws
   * @throws NvmeDeviceException when it cannot be reached
   */
  public static NvmeDevice adopt(
      final HostPaths paths,
      final PciAddress address,
      final DeviceHandles handles,
      final NvmeOptions options,
      final Listener listener) {
    final VfioPort port = VfioPort.adopt(address, handles);
    final NvmeController controller = controller(port, options, listener);
    try {
      controller.adopt();
    } catch (final NvmeDeviceException e) {
      // Its state tells; a reset may help.
    }
    return new NvmeDevice(PciFunction.of(paths, address), port, controller, false, handles);
  }

  private static NvmeController controller(
      final NvmePort port, final NvmeOptions options, final Listener listener) {
    return new NvmeController(
        port,
        options.queuePairCount(),
        options.adminTimeoutNs(),
        System::nanoTime,
        () -> LockSupport.parkNanos(PAUSE_NS),
        listener);
  }

  private static void giveBack(final PciFunction function, final RuntimeException failure) {
    try {
      function.giveBackToKernel();
    } catch (final NvmeDeviceException e) {
      failure.addSuppressed(e);
    }
  }

  /** Whether a driver of the kernel had it before. */
  public boolean wasKernels() {
    return wasKernels;
  }

  public PciAddress address() {
    return function.address();
  }

  public ControllerState state() {
    return controller.state();
  }

  /** Why it is in this state; empty when there is nothing to say. */
  public String reason() {
    return controller.reason();
  }

  public ControllerIdentity identity() {
    return controller.identity();
  }

  /** Active namespaces, also those that cannot be used. */
  public List<NamespaceIdentity> namespaces() {
    return controller.namespaces();
  }

  /** I/O queue pairs that it granted: ids 1 to this. */
  public int queuePairCount() {
    return controller.queueCount();
  }

  /** Health of the controller, fresh. */
  public HealthLog health() {
    return controller.health();
  }

  /** A part of a log page, fresh. */
  public byte[] logPage(final LogRequest request) {
    return controller.logPage(request);
  }

  /** Limit of one admin command from now on. */
  public void adminTimeoutNs(final long limitNs) {
    controller.adminTimeoutNs(limitNs);
  }

  /** Whether a master before this one has brought it up: then it is not known what is mapped. */
  public boolean isAdopted() {
    return adopted != null;
  }

  /** The 4096 bytes of Identify Controller, fresh. */
  public byte[] identifyData() {
    return controller.identifyData();
  }

  /** Stops the controller at once and brings it up again; I/O queues are gone then. */
  public void reset(final String why) {
    controller.reset(why);
  }

  /** What slaves need to drive its queue pairs. */
  public DeviceHandles handles() {
    return adopted != null
        ? adopted
        : port.handles(controller.queueCount(), controller.doorbellStrideBytes());
  }

  /** Entries of an I/O queue at most. */
  public int entryCountMax() {
    return controller.entryCountMax();
  }

  /** Lets go of a device that slaves go on to use; nothing may be called afterwards. */
  public void leave() {
    controller.leave();
  }

  /** The device's view of memory. */
  public DmaSpace dma() {
    return port.dma();
  }

  /** Free I/O virtual addresses for so many bytes, beginning a multiple of the alignment. */
  public long takeIova(final long lengthBytes, final long alignmentBytes) {
    return port.iovas().take(lengthBytes, alignmentBytes);
  }

  /** Gives back what {@link #takeIova} gave. */
  public void releaseIova(final long iova) {
    port.iovas().release(iova);
  }

  /** Creates an I/O queue pair; its memory is mapped for DMA, its completion queue zeroed. */
  public void createQueuePair(final QueuePairAddress pair) {
    controller.createQueuePair(pair);
  }

  /** Deletes an I/O queue pair; commands in it are aborted. */
  public void deleteQueuePair(final int queueId) {
    controller.deleteQueuePair(queueId);
  }

  /** Rings the doorbells of a queue pair. */
  public void ring(final int queueId, final int sqTail, final int cqHead) {
    final int tailOffset = controller.tailDoorbellOffset(queueId);
    port.registers().putInt(tailOffset, sqTail);
    port.registers().putInt(tailOffset + controller.doorbellStrideBytes(), cqHead);
  }

  /**
   * Shuts the controller down and lets go of the device, even when it does not do what it is told.
   *
   * @param giveBack to the kernel's own driver
   * @return what went wrong on the way; null when nothing did
   */
  public NvmeDeviceException detach(final boolean giveBack) {
    NvmeDeviceException failure = null;
    try {
      controller.shutDown();
    } catch (final NvmeDeviceException e) {
      failure = e;
    }
    controller.close();
    if (giveBack) {
      try {
        function.giveBackToKernel();
      } catch (final NvmeDeviceException e) {
        failure = e;
      }
    }
    return failure;
  }

  /** For what drives it from this package. */
  NvmeController controller() {
    return controller;
  }
}

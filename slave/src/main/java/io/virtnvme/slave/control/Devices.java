package io.virtnvme.slave.control;

import io.virtnvme.ipc.nvme.device.DmaSpace;
import io.virtnvme.ipc.relay.DeviceDescription;
import io.virtnvme.ipc.relay.RelayFormatException;
import io.virtnvme.ipc.relay.RelayReader;
import io.virtnvme.ipc.relay.RelayWriter;
import io.virtnvme.ipc.sys.Fds;
import io.virtnvme.ipc.sys.Mapping;
import io.virtnvme.ipc.sys.VfioContainer;
import io.virtnvme.slave.bdev.DmaMap;
import io.virtnvme.slave.bdev.NvmeController;
import io.virtnvme.slave.session.MappedArea;
import java.util.Collection;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/**
 * The NVMe devices that this process can reach, by the name of their controller: doorbells mapped,
 * descriptors kept, which also keep the device alive while there is no master. Control thread only.
 */
final class Devices {
  private static final int FD_COUNT = 2;

  /** What a device reaches. */
  private record Reach(VfioContainer container) implements DmaSpace {
    @Override
    public void map(final long address, final long iova, final long lengthBytes) {
      container.map(address, iova, lengthBytes);
    }

    @Override
    public void unmap(final long iova, final long lengthBytes) {
      container.unmap(iova, lengthBytes);
    }
  }

  /** A device with its doorbells in our memory. */
  static final class Device implements NvmeController {
    private final DeviceDescription description;
    private final VfioContainer container;
    private final int deviceFd;
    private final Mapping doorbells;
    private final GuestDma dma;

    private Device(
        final DeviceDescription description,
        final int containerFd,
        final int deviceFd,
        final Mapping doorbells) {
      this.description = description;
      this.container = VfioContainer.adopt(containerFd);
      this.deviceFd = deviceFd;
      this.doorbells = doorbells;
      this.dma =
          new GuestDma(
              description.name(),
              new Reach(container),
              description.windowBase(),
              description.windowBytes(),
              GuestDma.PIECE_BYTES);
    }

    @Override
    public long sqTailAddress(final int queueId) {
      return doorbell(2 * queueId);
    }

    @Override
    public long cqHeadAddress(final int queueId) {
      return doorbell(2 * queueId + 1);
    }

    private long doorbell(final int index) {
      final long offset = (long) index * description.strideBytes();
      if (offset + Integer.BYTES > doorbells.lengthBytes()) {
        throw new IllegalStateException(
            "doorbell " + index + " is outside of what was handed over: " + description);
      }
      return doorbells.address() + offset;
    }

    @Override
    public DmaMap dma() {
      return dma.map();
    }

    void write(final RelayWriter writer) {
      description.write(writer);
      writer.putFd(container.fd()).putFd(deviceFd);
    }

    private void close() {
      doorbells.close();
      dma.close();
      Fds.close(deviceFd);
      container.close();
    }
  }

  private final Map<String, Device> devices = new LinkedHashMap<>();

  /** Takes a device over; throws {@link RuntimeException} when it cannot be mapped. */
  void attach(final RelayReader message) {
    final DeviceDescription description = DeviceDescription.read(message);
    if (message.fdCount() != FD_COUNT) {
      throw new RelayFormatException(
          "device " + description.name() + " came with descriptors: " + message.fdCount());
    }
    if (devices.containsKey(description.name())) {
      return;
    }
    final int[] fds = message.takeFds();
    try {
      final Mapping doorbells =
          Mapping.map(fds[1], description.doorbellsOffset(), description.doorbellsBytes());
      devices.put(description.name(), new Device(description, fds[0], fds[1], doorbells));
    } catch (final RuntimeException e) {
      Fds.close(fds[0]);
      Fds.close(fds[1]);
      throw e;
    }
  }

  /** The device, or null. */
  NvmeController device(final String name) {
    return devices.get(name);
  }

  Collection<Device> all() {
    return devices.values();
  }

  /** Lets a device reach a guest's memory, piece by piece with each {@link #mapNext}. */
  void reach(final String name, final List<MappedArea> areas) {
    final Device device = devices.get(name);
    if (device != null) {
      areas.forEach(device.dma::add);
    }
  }

  /** Maps one more piece of memory for each device; whether there are more. */
  boolean mapNext() {
    boolean hasMore = false;
    for (final Device device : devices.values()) {
      hasMore |= device.dma.mapNext();
    }
    return hasMore;
  }

  /** Lets go of a device that no reactor touches any more; nothing when it is not there. */
  void detach(final String name) {
    final Device device = devices.remove(name);
    if (device != null) {
      device.close();
    }
  }
}

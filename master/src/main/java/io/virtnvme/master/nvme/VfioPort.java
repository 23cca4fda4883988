package io.virtnvme.master.nvme;

import io.virtnvme.ipc.nvme.Doorbells;
import io.virtnvme.ipc.nvme.device.DeviceRegisters;
import io.virtnvme.ipc.nvme.device.DmaSpace;
import io.virtnvme.ipc.nvme.device.RegionRegisters;
import io.virtnvme.ipc.sys.Errno;
import io.virtnvme.ipc.sys.SysException;
import io.virtnvme.ipc.sys.VfioContainer;
import io.virtnvme.ipc.sys.VfioDevice;
import io.virtnvme.ipc.sys.VfioGroup;
import io.virtnvme.ipc.vfiouser.PciCommand;

/** A device behind VFIO with an address space of its own. One thread at a time. */
final class VfioPort implements NvmePort {
  /** The doorbells of the admin queue are the least there is. */
  private static final int BAR_LENGTH_MIN = Doorbells.BASE_OFFSET + Doorbells.lengthBytes(0);

  private static final long PAGE_MASK = 4095;

  private final VfioContainer container;
  private final VfioGroup group;
  private final VfioDevice device;
  private final RegionRegisters registers;
  private final IovaSpace iovas;

  private final DmaSpace dma =
      new DmaSpace() {
        @Override
        public void map(final long address, final long iova, final long lengthBytes) {
          container.map(address, iova, lengthBytes);
        }

        @Override
        public void unmap(final long iova, final long lengthBytes) {
          container.unmap(iova, lengthBytes);
        }
      };

  private VfioPort(
      final VfioContainer container,
      final VfioGroup group,
      final VfioDevice device,
      final RegionRegisters registers) {
    this.container = container;
    this.group = group;
    this.device = device;
    this.registers = registers;
    iovas = new IovaSpace(container.info().ranges());
  }

  /**
   * Opens a device that vfio-pci has.
   *
   * @param groupNumber of its IOMMU group, which has no other device
   * @throws NvmeDeviceException with a sentence; nothing stays open then
   */
  static VfioPort open(final HostPaths paths, final PciAddress address, final String groupNumber) {
    VfioContainer container = null;
    VfioGroup group = null;
    VfioDevice device = null;
    RegionRegisters registers = null;
    try {
      container = VfioContainer.open(paths.dev().resolve("vfio/vfio").toString());
      group = VfioGroup.open(paths.dev().resolve("vfio").resolve(groupNumber).toString());
      if (!group.isViable()) {
        throw new NvmeDeviceException(
            Errno.EBUSY,
            "IOMMU group "
                + groupNumber
                + " of "
                + address
                + " has a device with a driver of the kernel; unbind it");
      }
      container.add(group);
      device = group.device(address.text());
      final int command = device.configShort(PciCommand.OFFSET);
      device.configShort(
          PciCommand.OFFSET, command | PciCommand.MEMORY_SPACE | PciCommand.BUS_MASTER);
      registers = RegionRegisters.of(device, BAR_LENGTH_MIN);
      return new VfioPort(container, group, device, registers);
    } catch (final SysException e) {
      closeAll(registers, device, group, container);
      throw new NvmeDeviceException(e.errno(), address + ": " + advice(e), e);
    } catch (final IllegalStateException e) {
      closeAll(registers, device, group, container);
      throw new NvmeDeviceException(Errno.EIO, address + ": " + e.getMessage(), e);
    } catch (final RuntimeException e) {
      closeAll(registers, device, group, container);
      throw e;
    }
  }

  /**
   * A device that a process before this one has opened; takes the descriptors over, also when it
   * throws. The kernel keeps the group as long as its device is open.
   */
  static VfioPort adopt(final PciAddress address, final DeviceHandles handles) {
    final VfioContainer container = VfioContainer.adopt(handles.containerFd());
    VfioDevice device = null;
    try {
      device = VfioDevice.of(handles.deviceFd(), address.text());
      return new VfioPort(container, null, device, RegionRegisters.of(device, BAR_LENGTH_MIN));
    } catch (final SysException e) {
      closeAll(null, device, null, container);
      throw new NvmeDeviceException(e.errno(), address + ": " + advice(e), e);
    } catch (final IllegalStateException e) {
      closeAll(null, device, null, container);
      throw new NvmeDeviceException(Errno.EIO, address + ": " + e.getMessage(), e);
    }
  }

  private static String advice(final SysException e) {
    return switch (e.errno()) {
      case Errno.EACCES -> e.getMessage() + "; run the master as root, or give it the file";
      case Errno.EBUSY -> e.getMessage() + "; another process drives the device: end it first";
      case Errno.ENOENT -> e.getMessage() + "; load vfio-pci";
      case Errno.EPERM ->
          e.getMessage() + "; the IOMMU does not isolate interrupts: see dmesg about VFIO";
      default -> e.getMessage();
    };
  }

  private static void closeAll(
      final RegionRegisters registers,
      final VfioDevice device,
      final VfioGroup group,
      final VfioContainer container) {
    if (registers != null) {
      registers.close();
    }
    if (device != null) {
      device.close();
    }
    if (group != null) {
      group.close();
    }
    if (container != null) {
      container.close();
    }
  }

  @Override
  public DeviceRegisters registers() {
    return registers;
  }

  @Override
  public long registersLengthBytes() {
    return registers.lengthBytes();
  }

  @Override
  public DmaSpace dma() {
    return dma;
  }

  @Override
  public IovaSpace iovas() {
    return iovas;
  }

  @Override
  public DeviceHandles handles(final int queueCount, final int strideBytes) {
    final VfioDevice.Region bar = device.region(VfioDevice.BAR0);
    final long wanted = 2L * (queueCount + 1) * strideBytes;
    final long lengthBytes = (wanted + PAGE_MASK) & ~PAGE_MASK;
    if (Doorbells.BASE_OFFSET + lengthBytes > bar.lengthBytes()) {
      throw new NvmeDeviceException(
          Errno.EIO,
          "the doorbells of "
              + queueCount
              + " queue pairs do not fit into BAR0: bytes="
              + bar.lengthBytes());
    }
    return new DeviceHandles(
        container.fd(),
        device.fd(),
        bar.offsetBytes() + Doorbells.BASE_OFFSET,
        lengthBytes,
        strideBytes);
  }

  @Override
  public void stopDma() {
    try {
      final int command = device.configShort(PciCommand.OFFSET);
      device.configShort(PciCommand.OFFSET, command & ~PciCommand.BUS_MASTER);
    } catch (final SysException e) {
      // Taken out: it reaches nothing any more, and the IOMMU would stop it besides.
    }
  }

  @Override
  public void close() {
    closeAll(registers, device, group, container);
  }
}

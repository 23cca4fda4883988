package io.virtnvme.master.nvme;

import io.virtnvme.ipc.nvme.Doorbells;
import io.virtnvme.ipc.nvme.device.DeviceRegisters;
import io.virtnvme.ipc.nvme.device.DmaSpace;
import io.virtnvme.ipc.nvme.soft.SoftNvmeDevice;
import io.virtnvme.ipc.sys.Errno;
import io.virtnvme.ipc.sys.SysException;
import java.util.List;

/** The way to a device in software. */
final class SoftPort implements NvmePort, DmaSpace {
  private final SoftNvmeDevice device;
  private final IovaSpace iovas = new IovaSpace(List.of());
  private int mappingsLeft = -1;
  private long registersLengthBytes = 4 * Doorbells.BASE_OFFSET;
  private boolean isDmaStopped;
  private boolean isClosed;

  SoftPort(final SoftNvmeDevice device) {
    this.device = device;
  }

  void registersLengthBytes(final long lengthBytes) {
    registersLengthBytes = lengthBytes;
  }

  boolean isDmaStopped() {
    return isDmaStopped;
  }

  boolean isClosed() {
    return isClosed;
  }

  @Override
  public DeviceRegisters registers() {
    return device;
  }

  @Override
  public long registersLengthBytes() {
    return registersLengthBytes;
  }

  /** The mapping after so many is refused. */
  void refuseMappingAfter(final int count) {
    mappingsLeft = count;
  }

  @Override
  public DmaSpace dma() {
    return this;
  }

  @Override
  public void map(final long address, final long iova, final long lengthBytes) {
    if (mappingsLeft-- == 0) {
      throw new SysException("mapping", Errno.ENOMEM);
    }
    device.map(address, iova, lengthBytes);
  }

  @Override
  public void unmap(final long iova, final long lengthBytes) {
    device.unmap(iova, lengthBytes);
  }

  @Override
  public IovaSpace iovas() {
    return iovas;
  }

  @Override
  public void stopDma() {
    isDmaStopped = true;
  }

  @Override
  public void close() {
    isClosed = true;
  }
}

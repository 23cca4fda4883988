package io.virtnvme.master.nvme;

import io.virtnvme.ipc.nvme.Doorbells;
import io.virtnvme.ipc.nvme.device.DeviceRegisters;
import io.virtnvme.ipc.nvme.device.DmaSpace;
import io.virtnvme.ipc.nvme.soft.SoftNvmeDevice;
import java.util.List;

/** The way to a device in software. */
final class SoftPort implements NvmePort {
  private final SoftNvmeDevice device;
  private final IovaSpace iovas = new IovaSpace(List.of());
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

  @Override
  public DmaSpace dma() {
    return device;
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

package io.virtnvme.master.nvme;

import io.virtnvme.ipc.nvme.device.DeviceRegisters;
import io.virtnvme.ipc.nvme.device.DmaSpace;

/** The way to one device: behind VFIO, or in software. One thread at a time. */
interface NvmePort extends AutoCloseable {
  DeviceRegisters registers();

  /** Bytes of BAR0, at least those of the registers and of the admin queue's doorbells. */
  long registersLengthBytes();

  DmaSpace dma();

  IovaSpace iovas();

  /**
   * What others need to reach the device; null when it is in software.
   *
   * @param queueCount I/O queue pairs
   * @param strideBytes between two doorbells
   */
  default DeviceHandles handles(final int queueCount, final int strideBytes) {
    return null;
  }

  /** From now on the device can neither read nor write memory, whatever state it is in. */
  void stopDma();

  /** Gives back everything; DMA mappings end with it. */
  @Override
  void close();
}

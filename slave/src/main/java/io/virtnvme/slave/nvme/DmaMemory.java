package io.virtnvme.slave.nvme;

import io.virtnvme.slave.virtqueue.GuestMemory;
import java.util.List;

/**
 * The memory that a controller may reach by DMA, as it is mapped here; immutable.
 *
 * @param readable every region
 * @param writable the regions that may be written; the others are mapped for reading only, and a
 *     store to them would end the process
 * @param isBusMaster whether the function may reach any of it now (PCI command register)
 */
public record DmaMemory(GuestMemory readable, GuestMemory writable, boolean isBusMaster) {
  private static final GuestMemory EMPTY = GuestMemory.of(List.of());
  private static final DmaMemory OUT_OF_REACH = new DmaMemory(EMPTY, EMPTY, false);

  /** Memory that may be reached. */
  public DmaMemory(final GuestMemory readable, final GuestMemory writable) {
    this(readable, writable, true);
  }

  /** What queues are given of it: nothing while the function is no bus master. */
  public DmaMemory reachable() {
    return isBusMaster ? this : OUT_OF_REACH;
  }
}

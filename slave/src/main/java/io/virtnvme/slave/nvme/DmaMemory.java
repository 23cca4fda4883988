package io.virtnvme.slave.nvme;

import io.virtnvme.slave.virtqueue.GuestMemory;

/**
 * The memory that a controller may reach by DMA, as it is mapped here; immutable.
 *
 * @param readable every region
 * @param writable the regions that may be written; the others are mapped for reading only, and a
 *     store to them would end the process
 */
public record DmaMemory(GuestMemory readable, GuestMemory writable) {}

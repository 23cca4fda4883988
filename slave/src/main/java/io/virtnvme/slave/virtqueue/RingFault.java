package io.virtnvme.slave.virtqueue;

/** What a guest can do to its ring that leaves nothing to trust. */
enum RingFault {
  JOURNAL("the inflight region cannot be used"),
  BASE("the ring's base is outside the ring: index=%d queueSize=%d"),
  MEMORY("the ring is not in the new memory map: descriptors=0x%x used=0x%x"),
  AVAIL_INDEX("the avail index jumped: pending=%d queueSize=%d"),
  HEAD_RANGE("an avail entry is outside the descriptor table: head=%d queueSize=%d"),
  HEAD_TWICE("a head was made available while in flight: head=%d inFlight=%d"),
  CHAIN_RANGE("a descriptor links outside its table: next=%d entries=%d"),
  CHAIN_LOOP("a descriptor chain is a loop or too long: head=%d descriptors=%d"),
  RING_OVERRUN("more descriptors are available than the ring has: index=%d queueSize=%d"),
  TABLE_LENGTH("an indirect table has a wrong length: bytes=%d entryBytes=%d"),
  TABLE_ADDRESS("an indirect table is outside guest memory: address=0x%x index=%d"),
  NO_STATUS("a request has no status byte in guest memory: head=%d fault=%d");

  private final String format;

  RingFault(final String format) {
    this.format = format;
  }

  String text(final long first, final long second) {
    return String.format(format, first, second);
  }
}

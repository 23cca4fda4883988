package io.virtnvme.slave.vfio;

import java.util.Arrays;
import java.util.BitSet;
import java.util.List;

/**
 * What a front-end's messages made of a session; descriptors are in slots beside it. Immutable: a
 * message makes another one.
 *
 * @param negotiated VERSION was answered; doorbell page and controller area exist since then
 * @param maxDataXferSize bytes of one region access that both sides take
 * @param regions by ascending address, none overlaps another
 * @param vectors which interrupt vectors have an eventfd; not to be changed
 * @param hasErr the error interrupt has an eventfd
 * @param hasReq the request interrupt has an eventfd
 * @param config the PCI configuration space
 * @param last the last message that changed the state, null before the first one
 */
record VfioState(
    boolean negotiated,
    int maxDataXferSize,
    List<DmaRegion> regions,
    BitSet vectors,
    boolean hasErr,
    boolean hasReq,
    PciConfigSpace config,
    Settled last) {
  /**
   * A message and its reply. Handled again, by the slave that had it or by one that has the record
   * since, it is answered as before: to map or unmap a region twice would be refused.
   *
   * @param sequence its number in the session
   * @param reply the whole reply; not to be changed
   */
  @SuppressWarnings("ArrayRecordComponent")
  record Settled(long sequence, byte[] reply) {
    /** More than any message is answered with that changes a state. */
    static final int REPLY_LENGTH_MAX = 512;

    @Override
    public boolean equals(final Object other) {
      return other instanceof Settled settled
          && sequence == settled.sequence
          && Arrays.equals(reply, settled.reply);
    }

    @Override
    public int hashCode() {
      return Long.hashCode(sequence) ^ Arrays.hashCode(reply);
    }
  }

  VfioState {
    regions = List.copyOf(regions);
  }

  static VfioState initial(final int vectorCount) {
    return new VfioState(
        false, 0, List.of(), new BitSet(), false, false, PciConfigSpace.initial(vectorCount), null);
  }

  VfioState withNegotiated(final int dataXferSize) {
    return new VfioState(true, dataXferSize, regions, vectors, hasErr, hasReq, config, last);
  }

  VfioState withRegions(final List<DmaRegion> others) {
    return new VfioState(
        negotiated, maxDataXferSize, others, vectors, hasErr, hasReq, config, last);
  }

  VfioState withVectors(final BitSet others) {
    return new VfioState(
        negotiated, maxDataXferSize, regions, others, hasErr, hasReq, config, last);
  }

  VfioState withErr(final boolean has) {
    return new VfioState(negotiated, maxDataXferSize, regions, vectors, has, hasReq, config, last);
  }

  VfioState withReq(final boolean has) {
    return new VfioState(negotiated, maxDataXferSize, regions, vectors, hasErr, has, config, last);
  }

  VfioState withConfig(final PciConfigSpace other) {
    return new VfioState(
        negotiated, maxDataXferSize, regions, vectors, hasErr, hasReq, other, last);
  }

  VfioState withLast(final long sequence, final byte[] reply) {
    return new VfioState(
        negotiated,
        maxDataXferSize,
        regions,
        vectors,
        hasErr,
        hasReq,
        config,
        new Settled(sequence, reply));
  }

  /** The slots that hold a descriptor. */
  BitSet slots() {
    final BitSet held = new BitSet(VfioSlots.COUNT);
    for (final DmaRegion region : regions) {
      if (region.isMapped()) {
        held.set(region.slot());
      }
    }
    vectors.stream().forEach(vector -> held.set(VfioSlots.VECTOR + vector));
    held.set(VfioSlots.ERR, hasErr);
    held.set(VfioSlots.REQ, hasReq);
    held.set(VfioSlots.DOORBELLS, negotiated);
    held.set(VfioSlots.AREA, negotiated);
    return held;
  }

  /** A slot that no region uses, or -1. */
  int freeRegionSlot() {
    final BitSet held = slots();
    final int free = held.nextClearBit(0);
    return free < VfioSlots.REGION_COUNT_MAX ? free : -1;
  }
}

package io.virtnvme.slave.session;

import io.virtnvme.ipc.virtio.VirtioFeature;
import java.util.List;

/**
 * What must hold of a session's state, whether a message made it or a record brought it: after
 * {@link #check} every number in it may be used. Any thread.
 */
final class SessionRules {
  /** Longest ring. */
  static final int QUEUE_SIZE_MAX = 1024;

  static final int STATUS_MAX = 0xFF;

  private final long features;
  private final long protocolFeatures;
  private final int queueCount;

  /**
   * Rules for one device.
   *
   * @param features feature bits that the device offers
   * @param protocolFeatures protocol features that it offers
   * @param queueCount queues that a front-end may use
   */
  SessionRules(final long features, final long protocolFeatures, final int queueCount) {
    this.features = features;
    this.protocolFeatures = protocolFeatures;
    this.queueCount = queueCount;
  }

  int queueCount() {
    return queueCount;
  }

  /** Throws {@link SessionException} with the value that breaks a rule. */
  void check(final SessionState state) {
    require(
        (state.features() & ~features) == 0,
        () ->
            "features were not offered: features="
                + hex(state.features())
                + " not offered="
                + hex(state.features() & ~features));
    require(
        (state.protocolFeatures() & ~protocolFeatures) == 0,
        () ->
            "protocol features were not offered: features="
                + hex(state.protocolFeatures())
                + " not offered="
                + hex(state.protocolFeatures() & ~protocolFeatures));
    require(
        state.status() >= 0 && state.status() <= STATUS_MAX,
        () -> "device status out of range: status=" + state.status() + " max=" + STATUS_MAX);
    checkRegions(state.regions());
    require(
        state.rings().size() == queueCount,
        () -> "wrong number of rings: count=" + state.rings().size() + " expected=" + queueCount);
    for (int i = 0; i < queueCount; i++) {
      checkRing(i, state.ring(i), isPacked(state.features()));
    }
    if (state.inflight() != null) {
      checkInflight(state.inflight());
    }
    if (state.log() != null) {
      checkRange("dirty log", state.log().fileOffsetBytes(), state.log().lengthBytes());
    }
  }

  static boolean isPacked(final long features) {
    return VirtioFeature.has(features, VirtioFeature.RING_PACKED);
  }

  private static void checkRegions(final List<RegionState> regions) {
    for (int i = 0; i < regions.size(); i++) {
      final RegionState region = regions.get(i);
      if (region == null) {
        continue;
      }
      checkRange("memory region", region.fileOffsetBytes(), region.lengthBytes());
      require(
          !wraps(region.guestAddress(), region.lengthBytes())
              && !wraps(region.userAddress(), region.lengthBytes()),
          () -> "memory region runs over the end of the address space: " + region);
      for (int j = 0; j < i; j++) {
        final RegionState other = regions.get(j);
        require(
            other == null || !region.overlaps(other),
            () -> "memory regions overlap: " + region + " and " + other);
      }
    }
  }

  private static boolean wraps(final long address, final long lengthBytes) {
    return Long.compareUnsigned(address + (lengthBytes - 1), address) < 0;
  }

  private static void checkRange(
      final String what, final long fileOffsetBytes, final long lengthBytes) {
    require(
        lengthBytes > 0 && fileOffsetBytes >= 0 && fileOffsetBytes <= Long.MAX_VALUE - lengthBytes,
        () ->
            what
                + " out of range: length="
                + Long.toUnsignedString(lengthBytes)
                + " offset="
                + Long.toUnsignedString(fileOffsetBytes));
  }

  private static void checkRing(final int index, final RingState ring, final boolean packed) {
    require(
        ring.size() >= 0 && ring.size() <= QUEUE_SIZE_MAX,
        () -> "ring " + index + ": size=" + ring.size() + ", allowed 1.." + QUEUE_SIZE_MAX);
    require(
        packed || !ring.isComplete() || Integer.bitCount(ring.size()) == 1,
        () ->
            "ring " + index + ": the size of a split ring is a power of two: size=" + ring.size());
  }

  private void checkInflight(final InflightState inflight) {
    checkRange("inflight region", inflight.fileOffsetBytes(), inflight.lengthBytes());
    require(
        inflight.fileOffsetBytes() % Long.BYTES == 0,
        () -> "inflight region is not aligned to 8: offset=" + inflight.fileOffsetBytes());
    require(
        inflight.queueCount() >= 1 && inflight.queueCount() <= queueCount,
        () ->
            "inflight region: queue count=" + inflight.queueCount() + ", allowed 1.." + queueCount);
    require(
        inflight.queueSize() >= 1 && inflight.queueSize() <= QUEUE_SIZE_MAX,
        () ->
            "inflight region: queue size="
                + inflight.queueSize()
                + ", allowed 1.."
                + QUEUE_SIZE_MAX);
    require(
        !inflight.own() || inflight.equals(InflightState.forOwn(queueCount)),
        () -> "inflight region of our own has another shape: " + inflight);
  }

  private static String hex(final long value) {
    return "0x" + Long.toHexString(value);
  }

  private static void require(final boolean holds, final java.util.function.Supplier<String> text) {
    if (!holds) {
      throw new SessionException(text.get());
    }
  }
}

package io.virtnvme.slave.session;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.BitSet;
import java.util.Collections;
import java.util.List;
import java.util.function.UnaryOperator;

/**
 * Everything that a front-end's messages have set up, without the descriptors: the content of the
 * session's record. Immutable; two states are equal when a front-end cannot tell them apart.
 *
 * @param features negotiated virtio and vhost feature bits
 * @param protocolFeatures negotiated protocol features
 * @param status virtio device status, 0..255
 * @param writeback cache mode: false makes every write durable before it completes
 * @param regions one element per memory slot, null where there is none
 * @param rings one element per queue that the front-end may use
 * @param inflight where requests in flight are noted, or null
 * @param log where dirty pages are marked, or null
 * @param hasBackendRequest a socket for requests to the front-end is in its slot
 * @param hasLogNotify an event for log changes is in its slot
 */
record SessionState(
    long features,
    long protocolFeatures,
    int status,
    boolean writeback,
    List<RegionState> regions,
    List<RingState> rings,
    InflightState inflight,
    AreaState log,
    boolean hasBackendRequest,
    boolean hasLogNotify) {
  static SessionState initial(final int queueCount) {
    return new SessionState(
        0,
        0,
        0,
        true,
        Arrays.asList(new RegionState[FdSlots.REGION_COUNT_MAX]),
        Collections.nCopies(queueCount, RingState.INITIAL),
        null,
        null,
        false,
        false);
  }

  RingState ring(final int index) {
    return rings.get(index);
  }

  boolean hasMemory() {
    return regions.stream().anyMatch(region -> region != null);
  }

  /** Whether any ring is set up to run: what all rings share must stay as it is. */
  boolean hasCompleteRing() {
    return rings.stream().anyMatch(RingState::isComplete);
  }

  SessionState withFeatures(final long newFeatures) {
    return new SessionState(
        newFeatures,
        protocolFeatures,
        status,
        writeback,
        regions,
        rings,
        inflight,
        log,
        hasBackendRequest,
        hasLogNotify);
  }

  SessionState withProtocolFeatures(final long newProtocolFeatures) {
    return new SessionState(
        features,
        newProtocolFeatures,
        status,
        writeback,
        regions,
        rings,
        inflight,
        log,
        hasBackendRequest,
        hasLogNotify);
  }

  SessionState withStatus(final int newStatus) {
    return new SessionState(
        features,
        protocolFeatures,
        newStatus,
        writeback,
        regions,
        rings,
        inflight,
        log,
        hasBackendRequest,
        hasLogNotify);
  }

  SessionState withWriteback(final boolean on) {
    return new SessionState(
        features,
        protocolFeatures,
        status,
        on,
        regions,
        rings,
        inflight,
        log,
        hasBackendRequest,
        hasLogNotify);
  }

  SessionState withRegions(final List<RegionState> newRegions) {
    return new SessionState(
        features,
        protocolFeatures,
        status,
        writeback,
        Collections.unmodifiableList(new ArrayList<>(newRegions)),
        rings,
        inflight,
        log,
        hasBackendRequest,
        hasLogNotify);
  }

  /** One region added, changed, or with null removed. */
  SessionState withRegion(final int slot, final RegionState region) {
    final List<RegionState> changed = new ArrayList<>(regions);
    changed.set(slot, region);
    return withRegions(changed);
  }

  SessionState withRings(final UnaryOperator<RingState> change) {
    return withRings(rings.stream().map(change).toList());
  }

  private SessionState withRings(final List<RingState> newRings) {
    return new SessionState(
        features,
        protocolFeatures,
        status,
        writeback,
        regions,
        newRings,
        inflight,
        log,
        hasBackendRequest,
        hasLogNotify);
  }

  SessionState withRing(final int index, final RingState ring) {
    final List<RingState> changed = new ArrayList<>(rings);
    changed.set(index, ring);
    return withRings(List.copyOf(changed));
  }

  SessionState withInflight(final InflightState newInflight) {
    return new SessionState(
        features,
        protocolFeatures,
        status,
        writeback,
        regions,
        rings,
        newInflight,
        log,
        hasBackendRequest,
        hasLogNotify);
  }

  SessionState withLog(final AreaState newLog) {
    return new SessionState(
        features,
        protocolFeatures,
        status,
        writeback,
        regions,
        rings,
        inflight,
        newLog,
        hasBackendRequest,
        hasLogNotify);
  }

  SessionState withBackendRequest(final boolean present) {
    return new SessionState(
        features,
        protocolFeatures,
        status,
        writeback,
        regions,
        rings,
        inflight,
        log,
        present,
        hasLogNotify);
  }

  SessionState withLogNotify(final boolean present) {
    return new SessionState(
        features,
        protocolFeatures,
        status,
        writeback,
        regions,
        rings,
        inflight,
        log,
        hasBackendRequest,
        present);
  }

  /** The slots that hold a descriptor in this state. */
  BitSet slots() {
    final BitSet slots = new BitSet(FdSlots.COUNT);
    for (int i = 0; i < regions.size(); i++) {
      slots.set(i, regions.get(i) != null);
    }
    for (int i = 0; i < rings.size(); i++) {
      final RingState ring = rings.get(i);
      slots.set(FdSlots.KICK + i, ring.kick() == RingState.Kick.DESCRIPTOR);
      slots.set(FdSlots.CALL + i, ring.hasCall());
      slots.set(FdSlots.ERROR + i, ring.hasError());
    }
    slots.set(FdSlots.INFLIGHT, inflight != null);
    slots.set(FdSlots.LOG, log != null);
    slots.set(FdSlots.BACKEND_REQUEST, hasBackendRequest);
    slots.set(FdSlots.LOG_NOTIFY, hasLogNotify);
    return slots;
  }
}

package io.virtnvme.slave.session;

import io.virtnvme.ipc.segment.SessionSegment;
import io.virtnvme.ipc.virtio.AvailRing;
import io.virtnvme.ipc.virtio.EventSuppression;
import io.virtnvme.ipc.virtio.PackedDescriptor;
import io.virtnvme.ipc.virtio.SplitDescriptor;
import io.virtnvme.ipc.virtio.UsedRing;
import io.virtnvme.ipc.virtio.VirtioFeature;
import io.virtnvme.slave.virtqueue.DirtyLog;
import io.virtnvme.slave.virtqueue.GuestMemory;
import io.virtnvme.slave.virtqueue.QueueSetup;

/**
 * Turns what a front-end said about its rings into what a reactor needs: translates addresses and
 * checks that every part of a ring lies in guest memory. Control thread.
 */
final class RingSetups {
  private static final int DESCRIPTOR_ALIGNMENT = 16;
  private static final int AVAIL_ALIGNMENT = 2;
  private static final int USED_ALIGNMENT = 4;
  private static final int PACKED_INDEX_MASK = 0x7FFF;
  private static final int PACKED_FRESH_BASE = 0x8000_8000;

  private final long sessionId;
  private final SessionSegment segment;
  private final BlkDevice device;

  RingSetups(final long sessionId, final SessionSegment segment, final BlkDevice device) {
    this.sessionId = sessionId;
    this.segment = segment;
    this.device = device;
  }

  static DirtyLog ringLog(final SessionState state, final SessionMemory memory) {
    return VirtioFeature.has(state.features(), VirtioFeature.LOG_ALL) ? memory.dirtyLog() : null;
  }

  /** A ring's set-up if the front-end set it up to run and memory covers it, else null. */
  QueueSetup of(
      final int queue, final SessionState state, final SessionMemory memory, final int[] fds) {
    final RingState ring = state.ring(queue);
    if (!ring.isComplete() || whyNot(queue, state, memory) != null) {
      return null;
    }
    final boolean packed = SessionRules.isPacked(state.features());
    final RingState.Addresses at = ring.addresses();
    final long stride = state.inflight().strideBytes(packed);
    return new QueueSetup(
        sessionId,
        queue,
        ring.size(),
        packed,
        state.features(),
        memory.guest(),
        descriptorAddress(ring, memory),
        memory.guest().translateUser(at.available(), 1),
        memory.guest().translateUser(at.used(), 1),
        at.logged() ? at.log() : -1,
        ringLog(state, memory),
        ring.kick() == RingState.Kick.DESCRIPTOR ? fds[FdSlots.KICK + queue] : -1,
        ring.hasCall() ? fds[FdSlots.CALL + queue] : -1,
        memory.inflightAddress() + queue * stride,
        // A region of our own has room for the longest ring, but each journal is its ring's.
        state.inflight().own() ? ring.size() : state.inflight().queueSize(),
        packed ? packedBase(ring, memory) : ring.base(),
        segment.queueCounters(queue),
        device.bdev(),
        device.readOnly(),
        state.writeback(),
        device.serial());
  }

  /** Why a ring that is complete cannot run, with the values; null if it can. */
  String whyNot(final int queue, final SessionState state, final SessionMemory memory) {
    final InflightState inflight = state.inflight();
    final RingState ring = state.ring(queue);
    if (inflight == null || memory.inflightAddress() == 0) {
      return "ring " + queue + " has no inflight region";
    }
    final boolean packed = SessionRules.isPacked(state.features());
    if (queue >= inflight.queueCount()
        || ring.size() > inflight.queueSize()
        || inflight.neededBytes(packed) > inflight.lengthBytes()) {
      return "ring "
          + queue
          + " of size="
          + ring.size()
          + " does not fit into the inflight region: queues="
          + inflight.queueCount()
          + " queue size="
          + inflight.queueSize()
          + " length="
          + inflight.lengthBytes()
          + " packed="
          + packed;
    }
    final String fault = addressFault(queue, state, memory);
    return fault == null && packed ? baseFault(queue, ring, memory) : fault;
  }

  /** Both indices of a packed ring's base must lie in the ring. */
  private static String baseFault(
      final int queue, final RingState ring, final SessionMemory memory) {
    final int base = packedBase(ring, memory);
    return (base & PACKED_INDEX_MASK) < ring.size()
            && ((base >>> Short.SIZE) & PACKED_INDEX_MASK) < ring.size()
        ? null
        : "ring "
            + queue
            + ": the base is not in the ring: base=0x"
            + Integer.toHexString(ring.base())
            + " size="
            + ring.size();
  }

  /**
   * Where a packed ring with a new journal begins. Several front-ends give a base as for a split
   * ring: 16 bits, or zero for a fresh ring, whose wrap counters are set. Both halves of a ring
   * that stands still are equal, so a missing half is the other one. Zero can also be meant as it
   * is said, after an odd number of laps; then the device has used descriptors.
   */
  private static int packedBase(final RingState ring, final SessionMemory memory) {
    final int base = ring.base();
    if (base == 0) {
      return wasUsed(ring, memory) ? 0 : PACKED_FRESH_BASE;
    }
    return base >>> Short.SIZE == 0 ? (base << Short.SIZE) | base : base;
  }

  /**
   * Whether the device has used a descriptor of a ring that is at its first one. That one alone
   * does not tell: the request that went over the end of the ring in the lap before last can have
   * covered it, and then it looks available as in a fresh ring. But no lap passes without a used
   * descriptor, and what the driver makes available over it in the lap now has the used flag too.
   */
  private static boolean wasUsed(final RingState ring, final SessionMemory memory) {
    final long descriptors = descriptorAddress(ring, memory);
    int flags = memory.peekUnsignedShort(descriptors + PackedDescriptor.FLAGS_OFFSET);
    final boolean looksAvailable = (flags & PackedDescriptor.FLAG_AVAIL) != 0;
    for (int i = 1;
        looksAvailable && (flags & PackedDescriptor.FLAG_USED) == 0 && i < ring.size();
        i++) {
      flags =
          memory.peekUnsignedShort(
              descriptors
                  + (long) i * PackedDescriptor.DESCRIPTOR_LENGTH
                  + PackedDescriptor.FLAGS_OFFSET);
    }
    return (flags & PackedDescriptor.FLAG_USED) != 0;
  }

  private static long descriptorAddress(final RingState ring, final SessionMemory memory) {
    return memory.guest().translateUser(ring.addresses().descriptor(), 1);
  }

  /** Which part of a ring with addresses lies outside of memory or crooked; null if none does. */
  String addressFault(final int queue, final SessionState state, final SessionMemory memory) {
    final RingState ring = state.ring(queue);
    final RingState.Addresses at = ring.addresses();
    // Before SET_VRING_NUM there is no length to check yet: one entry stands for all.
    final int size = Math.max(1, ring.size());
    final boolean packed = SessionRules.isPacked(state.features());
    return firstOf(
        fault(
            queue,
            packed ? "descriptor ring" : "descriptor table",
            at.descriptor(),
            size * SplitDescriptor.DESCRIPTOR_LENGTH,
            DESCRIPTOR_ALIGNMENT,
            memory),
        fault(
            queue,
            packed ? "driver event suppression" : "avail ring",
            at.available(),
            packed ? EventSuppression.LENGTH : AvailRing.length(size),
            packed ? EventSuppression.LENGTH : AVAIL_ALIGNMENT,
            memory),
        fault(
            queue,
            packed ? "device event suppression" : "used ring",
            at.used(),
            packed ? EventSuppression.LENGTH : UsedRing.length(size),
            USED_ALIGNMENT,
            memory));
  }

  private static String firstOf(final String first, final String second, final String third) {
    return first != null ? first : second != null ? second : third;
  }

  private static String fault(
      final int queue,
      final String part,
      final long userAddress,
      final int lengthBytes,
      final int alignment,
      final SessionMemory memory) {
    final long hostAddress = memory.guest().translateUser(userAddress, lengthBytes);
    if (hostAddress == 0) {
      return text(queue, part, userAddress, lengthBytes, "is not in memory");
    }
    return hostAddress % alignment == 0
        ? null
        : text(queue, part, userAddress, lengthBytes, "is not aligned to " + alignment);
  }

  private static String text(
      final int queue,
      final String part,
      final long userAddress,
      final int lengthBytes,
      final String fault) {
    return "ring "
        + queue
        + ": the "
        + part
        + " "
        + fault
        + ": user address=0x"
        + Long.toHexString(userAddress)
        + " length="
        + lengthBytes;
  }

  /** Whether a running ring may go on under a new set-up without being stopped in between. */
  static boolean isCompatible(final QueueSetup running, final QueueSetup wanted) {
    return withoutChangeable(running).equals(withoutChangeable(wanted))
        && isSameGuestPlace(running, wanted);
  }

  /** A running ring is moved to a new memory map by its guest addresses, so these must stay. */
  private static boolean isSameGuestPlace(final QueueSetup running, final QueueSetup wanted) {
    final GuestMemory before = running.memory();
    final GuestMemory after = wanted.memory();
    return before == after
        || (isSameGuestAddress(before, after, running.descriptorAddress())
            && isSameGuestAddress(before, after, running.availAddress())
            && isSameGuestAddress(before, after, running.usedAddress()));
  }

  private static boolean isSameGuestAddress(
      final GuestMemory before, final GuestMemory after, final long hostAddress) {
    return before.guestAddressOf(hostAddress) == after.guestAddressOf(hostAddress);
  }

  /** Whether memory map, dirty log or feature bits differ. */
  static boolean needsUpdate(final QueueSetup running, final QueueSetup wanted) {
    return running.memory() != wanted.memory()
        || running.log() != wanted.log()
        || running.features() != wanted.features();
  }

  /**
   * The set-up without what a running ring can change, and without what only a new journal needs.
   */
  private static QueueSetup withoutChangeable(final QueueSetup setup) {
    return new QueueSetup(
        setup.sessionId(),
        setup.queueIndex(),
        setup.queueSize(),
        setup.packed(),
        setup.features() & ~(1L << VirtioFeature.LOG_ALL),
        null,
        setup.descriptorAddress(),
        setup.availAddress(),
        setup.usedAddress(),
        setup.usedLogAddress(),
        null,
        setup.kickFd(),
        -1,
        setup.inflightAddress(),
        setup.inflightQueueSize(),
        0,
        setup.countersAddress(),
        setup.bdev(),
        setup.readOnly(),
        true,
        setup.serial());
  }
}

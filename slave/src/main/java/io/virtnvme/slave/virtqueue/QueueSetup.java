package io.virtnvme.slave.virtqueue;

import io.virtnvme.ipc.relay.BdevHold;
import io.virtnvme.ipc.segment.SessionSegment;
import io.virtnvme.ipc.sys.Pages;
import io.virtnvme.ipc.virtio.AvailRing;
import io.virtnvme.ipc.virtio.EventSuppression;
import io.virtnvme.ipc.virtio.SplitDescriptor;
import io.virtnvme.ipc.virtio.UsedRing;
import io.virtnvme.journal.PackedInflight;
import io.virtnvme.journal.SplitInflight;
import io.virtnvme.slave.bdev.Bdev;
import io.virtnvme.slave.bdev.BlockChannel;
import io.virtnvme.slave.bdev.ReactorIo;
import io.virtnvme.slave.ring.RingAgent;
import io.virtnvme.slave.ring.RingSetup;

/**
 * All that a reactor needs to serve one ring; immutable. Addresses are host addresses, already
 * checked to lie in guest memory with the full length of their structure.
 *
 * @param sessionId the session it belongs to
 * @param queueIndex index in the session
 * @param queueSize entries of the ring; a power of two for split rings
 * @param packed packed ring layout
 * @param features negotiated virtio and vhost feature bits
 * @param memory guest memory at the time
 * @param descriptorAddress split: descriptor table; packed: descriptor ring
 * @param availAddress split: avail ring; packed: driver event suppression
 * @param usedAddress split: used ring; packed: device event suppression
 * @param usedLogAddress guest address under which changes of the used ring are logged as dirty, or
 *     -1
 * @param log dirty log, or null when off
 * @param kickFd eventfd that the guest signals, -1 for none (the ring is polled only)
 * @param callFd eventfd that interrupts the guest, -1 for none
 * @param inflightAddress this queue's part of the inflight region
 * @param inflightQueueSize queue size that the inflight region was made for (VhostUserInflight); at
 *     least queueSize
 * @param base where to start when the inflight region is new: as in VHOST_USER_SET_VRING_BASE
 * @param countersAddress block of {@link io.virtnvme.ipc.segment.SessionSegment.QueueCounter}s
 * @param bdev the disk
 * @param readOnly refuse writes
 * @param writeback false makes every write durable before it completes
 * @param serial at most 20 bytes
 */
@SuppressWarnings("ArrayRecordComponent") // shared, never changed: one copy per disk
public record QueueSetup(
    long sessionId,
    int queueIndex,
    int queueSize,
    boolean packed,
    long features,
    GuestMemory memory,
    long descriptorAddress,
    long availAddress,
    long usedAddress,
    long usedLogAddress,
    DirtyLog log,
    int kickFd,
    int callFd,
    long inflightAddress,
    int inflightQueueSize,
    int base,
    long countersAddress,
    Bdev bdev,
    boolean readOnly,
    boolean writeback,
    byte[] serial)
    implements RingSetup {
  /** For an inflight region that was made for exactly this ring. */
  public QueueSetup(
      final long sessionId,
      final int queueIndex,
      final int queueSize,
      final boolean packed,
      final long features,
      final GuestMemory memory,
      final long descriptorAddress,
      final long availAddress,
      final long usedAddress,
      final long usedLogAddress,
      final DirtyLog log,
      final int kickFd,
      final int callFd,
      final long inflightAddress,
      final int base,
      final long countersAddress,
      final Bdev bdev,
      final boolean readOnly,
      final boolean writeback,
      final byte[] serial) {
    this(
        sessionId,
        queueIndex,
        queueSize,
        packed,
        features,
        memory,
        descriptorAddress,
        availAddress,
        usedAddress,
        usedLogAddress,
        log,
        kickFd,
        callFd,
        inflightAddress,
        queueSize,
        base,
        countersAddress,
        bdev,
        readOnly,
        writeback,
        serial);
  }

  @Override
  public boolean needsFence() {
    return bdev.needsFence();
  }

  @Override
  public boolean tryFence() {
    return bdev.tryFence();
  }

  @Override
  public boolean isHeld(final Bdev of, final BdevHold.Who who) {
    return of == bdev && who != BdevHold.Who.NOBODY;
  }

  @Override
  public RingAgent makeAgent(final ReactorIo io, final int ringSlot) {
    populate();
    final BlockChannel channel = bdev.channel(io);
    channel.bind(ringSlot, sessionId, queueIndex);
    return new VirtqueueRing(
        VirtqueueAgent.create(this, channel, bdev.limits().gate(io), ringSlot));
  }

  /** What a takeover uses at once: a standby has never touched it. */
  private void populate() {
    Pages.populate(descriptorAddress, descriptorBytes());
    Pages.populate(availAddress, availBytes());
    Pages.populate(usedAddress, usedBytes());
    Pages.populate(
        inflightAddress,
        packed
            ? PackedInflight.regionLength(inflightQueueSize)
            : SplitInflight.regionLength(inflightQueueSize));
    Pages.populate(countersAddress, SessionSegment.QUEUE_LENGTH);
  }

  /**
   * The same ring in another memory map: its parts move with the guest's addresses.
   *
   * @return null if a part of the ring is not in the new map
   */
  QueueSetup with(final GuestMemory newMemory, final DirtyLog newLog, final long newFeatures) {
    final long descriptors = move(descriptorAddress, descriptorBytes(), newMemory);
    final long avail = move(availAddress, availBytes(), newMemory);
    final long used = move(usedAddress, usedBytes(), newMemory);
    if (descriptors == 0 || avail == 0 || used == 0) {
      return null;
    }
    return new QueueSetup(
        sessionId,
        queueIndex,
        queueSize,
        packed,
        newFeatures,
        newMemory,
        descriptors,
        avail,
        used,
        usedLogAddress,
        newLog,
        kickFd,
        callFd,
        inflightAddress,
        inflightQueueSize,
        base,
        countersAddress,
        bdev,
        readOnly,
        writeback,
        serial);
  }

  private long move(final long hostAddress, final long lengthBytes, final GuestMemory newMemory) {
    if (newMemory == memory) {
      return hostAddress;
    }
    final long guestAddress = memory.guestAddressOf(hostAddress);
    return guestAddress == -1 ? 0 : newMemory.translate(guestAddress, lengthBytes);
  }

  private long descriptorBytes() {
    return (long) queueSize * SplitDescriptor.DESCRIPTOR_LENGTH;
  }

  private long availBytes() {
    return packed ? EventSuppression.LENGTH : AvailRing.length(queueSize);
  }

  private long usedBytes() {
    return packed ? EventSuppression.LENGTH : UsedRing.length(queueSize);
  }
}

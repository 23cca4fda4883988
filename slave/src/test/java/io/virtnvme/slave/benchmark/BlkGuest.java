package io.virtnvme.slave.benchmark;

import io.virtnvme.ipc.segment.SessionSegment;
import io.virtnvme.ipc.sys.EventFd;
import io.virtnvme.ipc.sys.Fds;
import io.virtnvme.ipc.virtio.BlkFeature;
import io.virtnvme.ipc.virtio.BlkRequest;
import io.virtnvme.ipc.virtio.DriverQueue;
import io.virtnvme.ipc.virtio.PackedDriverQueue;
import io.virtnvme.ipc.virtio.SplitDriverQueue;
import io.virtnvme.ipc.virtio.VirtioFeature;
import io.virtnvme.journal.PackedInflight;
import io.virtnvme.journal.SplitInflight;
import io.virtnvme.slave.bdev.Bdev;
import io.virtnvme.slave.virtqueue.GuestMemory;
import io.virtnvme.slave.virtqueue.MemoryRegion;
import io.virtnvme.slave.virtqueue.QueueSetup;
import java.util.List;

/** A virtio-blk guest that polls. */
public final class BlkGuest implements Guest {
  private static final int QUEUE_SIZE = DataPathBenchmark.QUEUE_SIZE;
  private static final int SEGMENT_MAX = 1;
  private static final int SERIAL_BYTES = 20;
  private static final int PAGE = 4096;
  private static final long GUEST_BASE = 0x1000_0000L;

  private final boolean packed;
  private final long features;
  private final SharedMemory guest;
  private final SharedMemory inflight;
  private final SharedMemory counters = new SharedMemory(SessionSegment.QUEUE_LENGTH);
  private final GuestMemory memory;
  private final DriverQueue driver;
  private final long bufferGuestAddress;
  private final int callFd = EventFd.create();

  /** A guest whose ring is new. */
  public BlkGuest(final boolean packed, final boolean indirect) {
    this.packed = packed;
    features =
        VirtioFeature.of(VirtioFeature.VERSION_1, VirtioFeature.RING_EVENT_IDX)
            | VirtioFeature.of(BlkFeature.FLUSH)
            | (indirect ? VirtioFeature.of(VirtioFeature.RING_INDIRECT_DESC) : 0)
            | (packed ? VirtioFeature.of(VirtioFeature.RING_PACKED) : 0);
    final long ringBytes =
        (packed
                    ? PackedDriverQueue.length(QUEUE_SIZE, SEGMENT_MAX)
                    : SplitDriverQueue.length(QUEUE_SIZE, SEGMENT_MAX))
                + PAGE
                - 1
            & -PAGE;
    final long guestBytes = ringBytes + (long) QUEUE_SIZE * REQUEST_BYTES;
    guest = new SharedMemory(guestBytes);
    inflight =
        new SharedMemory(
            packed
                ? PackedInflight.regionLength(QUEUE_SIZE)
                : SplitInflight.regionLength(QUEUE_SIZE));
    memory =
        GuestMemory.of(
            List.of(
                new MemoryRegion(
                    GUEST_BASE, GUEST_BASE, guestBytes, guest.address(), guest.fd(), 0)));
    driver =
        packed
            ? new PackedDriverQueue(guest.address(), GUEST_BASE, QUEUE_SIZE, features, SEGMENT_MAX)
            : new SplitDriverQueue(guest.address(), GUEST_BASE, QUEUE_SIZE, features, SEGMENT_MAX);
    bufferGuestAddress = GUEST_BASE + ringBytes;
    driver.disableCalls();
  }

  @Override
  public QueueSetup setup(final Bdev bdev) {
    return new QueueSetup(
        1,
        0,
        QUEUE_SIZE,
        packed,
        features,
        memory,
        memory.translate(driver.descriptorGuestAddress(), 1),
        memory.translate(driver.driverAreaGuestAddress(), 1),
        memory.translate(driver.deviceAreaGuestAddress(), 1),
        -1,
        null,
        -1,
        callFd,
        inflight.address(),
        driver.initialBase(),
        counters.address(),
        bdev,
        false,
        true,
        new byte[SERIAL_BYTES]);
  }

  @Override
  public void add(final long block) {
    final int token =
        driver.begin(BlkRequest.TYPE_IN, block * (REQUEST_BYTES / BlkRequest.SECTOR_BYTES));
    driver.data(bufferGuestAddress + (long) token * REQUEST_BYTES, REQUEST_BYTES, true);
    if (!driver.add()) {
      throw new IllegalStateException("no room in the ring");
    }
  }

  @Override
  public void publish() {
    driver.publish();
  }

  @Override
  public int reap() {
    int count = 0;
    for (int token = driver.poll(); token != DriverQueue.NONE; token = driver.poll()) {
      if (driver.status(token) != BlkRequest.STATUS_OK) {
        throw new IllegalStateException("request failed: status=" + driver.status(token));
      }
      driver.reclaim(token);
      count++;
    }
    return count;
  }

  @Override
  public void close() {
    Fds.close(callFd);
    counters.close();
    inflight.close();
    guest.close();
  }
}

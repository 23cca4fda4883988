package io.virtnvme.slave.reactor;

import io.virtnvme.ipc.memory.Mem;
import io.virtnvme.ipc.segment.SessionSegment;
import io.virtnvme.ipc.sys.EventFd;
import io.virtnvme.ipc.sys.Fds;
import io.virtnvme.ipc.virtio.BlkFeature;
import io.virtnvme.ipc.virtio.BlkRange;
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

/**
 * The guest of a {@link WarmUp}: one queue in private memory, and requests of every kind, small and
 * large, single and in bursts. One thread.
 */
final class WarmUpGuest implements RehearsalGuest {
  /** Requests in flight at most. */
  static final int DEPTH = 32;

  /** Sets of features; see the constructor. */
  static final int VARIANT_COUNT = 3;

  private static final int QUEUE_SIZE = 128;
  private static final int SEGMENT_MAX = 4;
  private static final int SERIAL_BYTES = 20;
  private static final long ALIGNMENT = 4096;
  private static final long GUEST_BASE = 0x1000_0000L;

  /** Several of them in one duty cycle are more than it copies before it publishes. */
  private static final int LARGE_BYTES = 128 * 1024;

  private static final int NAPS = 3_000;

  /** So many requests in a row are large, once in so many. */
  private static final int BURST = DEPTH;

  private static final int BURST_PERIOD = 32 * BURST;
  private static final int RARE_PERIOD = 256;

  private final Bdev bdev;
  private final boolean packed;
  private final long features;
  private final long block;
  private final long bufferGuestAddress;
  private final long inflightAddress;
  private final long countersAddress;
  private final GuestMemory memory;
  private final DriverQueue driver;
  private final int kickFd = EventFd.create();
  private final int callFd = EventFd.create();
  private final EventFd eventFd = new EventFd();
  private final boolean[] mustFail = new boolean[QUEUE_SIZE];
  private long sector;
  private int number;

  /**
   * A guest of a disk of {@link WarmUp#DISK_BYTES}.
   *
   * @param variant selects features: 0 = all, 1 = no event index, 2 = no indirect descriptors
   */
  WarmUpGuest(final Bdev bdev, final boolean packed, final int variant) {
    this.bdev = bdev;
    this.packed = packed;
    features =
        VirtioFeature.of(VirtioFeature.VERSION_1)
            | (variant == 1 ? 0 : VirtioFeature.of(VirtioFeature.RING_EVENT_IDX))
            | (variant == 2 ? 0 : VirtioFeature.of(VirtioFeature.RING_INDIRECT_DESC))
            | VirtioFeature.of(BlkFeature.FLUSH, BlkFeature.WRITE_ZEROES)
            | (packed ? VirtioFeature.of(VirtioFeature.RING_PACKED) : 0);
    final long ringBytes =
        align(
            packed
                ? PackedDriverQueue.length(QUEUE_SIZE, SEGMENT_MAX)
                : SplitDriverQueue.length(QUEUE_SIZE, SEGMENT_MAX));
    final long inflightBytes =
        align(
            packed
                ? PackedInflight.regionLength(QUEUE_SIZE)
                : SplitInflight.regionLength(QUEUE_SIZE));
    final long guestBytes = ringBytes + LARGE_BYTES + ALIGNMENT;
    block = Mem.allocate(guestBytes + inflightBytes + SessionSegment.QUEUE_LENGTH + ALIGNMENT);
    final long ringAddress = align(block);
    inflightAddress = ringAddress + guestBytes;
    countersAddress = inflightAddress + inflightBytes;
    Mem.fill(inflightAddress, inflightBytes, (byte) 0);
    memory =
        GuestMemory.of(
            List.of(new MemoryRegion(GUEST_BASE, GUEST_BASE, guestBytes, ringAddress, -1, 0)));
    driver =
        packed
            ? new PackedDriverQueue(ringAddress, GUEST_BASE, QUEUE_SIZE, features, SEGMENT_MAX)
            : new SplitDriverQueue(ringAddress, GUEST_BASE, QUEUE_SIZE, features, SEGMENT_MAX);
    bufferGuestAddress = GUEST_BASE + ringBytes;
    // One block from the beginning of the disk.
    final long range = ringAddress + ringBytes + LARGE_BYTES;
    Mem.putLong(range + BlkRange.SECTOR_OFFSET, 0);
    Mem.putInt(range + BlkRange.NUM_SECTORS_OFFSET, WarmUp.BLOCK_BYTES / BlkRequest.SECTOR_BYTES);
    Mem.putInt(range + BlkRange.FLAGS_OFFSET, 0);
  }

  private static long align(final long value) {
    return (value + ALIGNMENT - 1) & -ALIGNMENT;
  }

  @Override
  public Bdev bdev() {
    return bdev;
  }

  @Override
  public int napCount() {
    return NAPS;
  }

  @Override
  public QueueSetup setup(final Bdev disk) {
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
        kickFd,
        callFd,
        inflightAddress,
        driver.initialBase(),
        countersAddress,
        disk,
        false,
        true,
        new byte[SERIAL_BYTES]);
  }

  @Override
  public int inFlightCount() {
    return driver.inFlightCount();
  }

  @Override
  public void send(final int count) {
    boolean room = true;
    for (int i = 0; i < count && room; i++) {
      room = submit();
    }
    driver.publish();
  }

  @Override
  public void kick() {
    eventFd.signal(kickFd);
  }

  private boolean submit() {
    final int kind = number % RARE_PERIOD;
    final boolean added =
        switch (kind) {
          case RARE_PERIOD - 1 -> add(BlkRequest.TYPE_FLUSH, 0, 0, false);
          case RARE_PERIOD - 2 -> add(BlkRequest.TYPE_GET_ID, 0, SERIAL_BYTES, false);
          case RARE_PERIOD - 3 -> addZeroes();
          // Past the end of the disk.
          case RARE_PERIOD - 4 ->
              add(BlkRequest.TYPE_IN, Integer.MAX_VALUE, WarmUp.BLOCK_BYTES, true);
          default ->
              addTransfer(
                  number % BURST_PERIOD >= BURST_PERIOD - 2 * BURST
                          && number % BURST_PERIOD < BURST_PERIOD - BURST
                      ? LARGE_BYTES
                      : WarmUp.BLOCK_BYTES);
        };
    if (added) {
      number++;
    }
    return added;
  }

  private boolean addTransfer(final int lengthBytes) {
    final int diskSectors = WarmUp.DISK_BYTES / BlkRequest.SECTOR_BYTES;
    sector =
        (sector + WarmUp.BLOCK_BYTES / BlkRequest.SECTOR_BYTES)
            % (diskSectors - LARGE_BYTES / BlkRequest.SECTOR_BYTES);
    return add(
        (number & 1) == 0 ? BlkRequest.TYPE_OUT : BlkRequest.TYPE_IN, sector, lengthBytes, false);
  }

  private boolean addZeroes() {
    return add(BlkRequest.TYPE_WRITE_ZEROES, 0, BlkRange.LENGTH, false);
  }

  private boolean add(
      final int type, final long firstSector, final int lengthBytes, final boolean fails) {
    final int token = driver.begin(type, firstSector);
    if (token == DriverQueue.NONE) {
      return false;
    }
    mustFail[token] = fails;
    final boolean deviceWrites = type == BlkRequest.TYPE_IN || type == BlkRequest.TYPE_GET_ID;
    if (lengthBytes >= WarmUp.BLOCK_BYTES && number % 4 == 0) {
      driver.data(bufferGuestAddress, lengthBytes / 2, deviceWrites);
      driver.data(bufferGuestAddress + lengthBytes / 2, lengthBytes / 2, deviceWrites);
    } else if (type == BlkRequest.TYPE_WRITE_ZEROES) {
      driver.data(bufferGuestAddress + LARGE_BYTES, lengthBytes, false);
    } else if (lengthBytes > 0) {
      driver.data(bufferGuestAddress, lengthBytes, deviceWrites);
    }
    return driver.add();
  }

  @Override
  public int reap() {
    int count = 0;
    for (int token = driver.poll(); token != DriverQueue.NONE; token = driver.poll()) {
      if (driver.status(token) == BlkRequest.STATUS_OK == mustFail[token]) {
        throw new IllegalStateException(
            "self-check failed: status=" + driver.status(token) + " disk=" + bdev.description());
      }
      driver.reclaim(token);
      count++;
    }
    return count;
  }

  @Override
  public String toString() {
    return "disk="
        + bdev.description()
        + " packed="
        + packed
        + " requests="
        + number
        + " inFlight="
        + driver.inFlightCount();
  }

  @Override
  public void close() {
    eventFd.free();
    Fds.close(kickFd);
    Fds.close(callFd);
    Mem.free(block);
  }
}

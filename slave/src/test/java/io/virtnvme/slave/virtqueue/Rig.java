package io.virtnvme.slave.virtqueue;

import io.virtnvme.ipc.memory.Mem;
import io.virtnvme.ipc.segment.SessionSegment.QueueCounter;
import io.virtnvme.ipc.virtio.BlkFeature;
import io.virtnvme.ipc.virtio.BlkRequest;
import io.virtnvme.ipc.virtio.DriverQueue;
import io.virtnvme.ipc.virtio.PackedDriverQueue;
import io.virtnvme.ipc.virtio.RingDriver;
import io.virtnvme.ipc.virtio.SplitDriverQueue;
import io.virtnvme.ipc.virtio.VirtioFeature;
import io.virtnvme.journal.PackedInflight;
import io.virtnvme.journal.SplitInflight;
import java.util.List;
import java.util.Random;

/**
 * A guest, its ring, a disk and an agent in one thread.
 *
 * <pre>
 *  guest   0x100000 rings | data A | data B     A and B touch in guest addresses,
 *  host    guard | rings | data A | guard | data B | guard     but not in host addresses
 * </pre>
 */
final class Rig implements AutoCloseable {
  static final int SEGMENT_MAX = 140;
  static final long GUEST_RINGS = 0x10_0000;
  static final int DATA_BYTES = 1 << 20;
  static final int RING_SLOT = 3;
  static final int GUARD_BYTES = 8192;
  static final byte GUARD = (byte) 0xA5;
  static final byte[] SERIAL = "disk-0001".getBytes(java.nio.charset.StandardCharsets.US_ASCII);

  final boolean packed;
  final int queueSize;
  final long features;
  final RingDriver driver;
  final TestDisk disk;
  final GuestMemory memory;
  final long guestData;
  final long journal;
  final long counters;
  private final long block;
  private final long blockBytes;
  private final long alignedRings;
  private final long ringBytes;
  QueueSetup setup;
  VirtqueueAgent agent;

  Rig(final boolean packed, final int queueSize, final long extraFeatures, final TestDisk disk) {
    this.packed = packed;
    this.queueSize = queueSize;
    this.features =
        extraFeatures
            | VirtioFeature.of(
                VirtioFeature.VERSION_1,
                BlkFeature.FLUSH,
                BlkFeature.DISCARD,
                BlkFeature.WRITE_ZEROES);
    this.disk = disk;
    this.ringBytes =
        4095
                + (packed
                    ? PackedDriverQueue.length(queueSize, SEGMENT_MAX)
                    : SplitDriverQueue.length(queueSize, SEGMENT_MAX))
            & -4096;
    this.blockBytes = 64 + 3L * GUARD_BYTES + ringBytes + 2L * DATA_BYTES;
    this.block = Mem.allocate(blockBytes);
    Mem.fill(block, blockBytes, GUARD);
    this.alignedRings = (block + 63 & -64) + GUARD_BYTES;
    final long dataA = alignedRings + ringBytes;
    final long dataB = dataA + DATA_BYTES + GUARD_BYTES;
    this.guestData = GUEST_RINGS + ringBytes;
    this.memory =
        GuestMemory.of(
            List.of(
                new MemoryRegion(
                    GUEST_RINGS, 0x7000_0000L, ringBytes + DATA_BYTES, alignedRings, -1, 0),
                new MemoryRegion(guestData + DATA_BYTES, 0x9000_0000L, DATA_BYTES, dataB, -1, 0)));
    Mem.fill(dataA, DATA_BYTES, (byte) 0);
    Mem.fill(dataB, DATA_BYTES, (byte) 0);
    this.driver =
        packed
            ? new PackedDriverQueue(alignedRings, GUEST_RINGS, queueSize, features, SEGMENT_MAX)
            : new SplitDriverQueue(alignedRings, GUEST_RINGS, queueSize, features, SEGMENT_MAX);
    this.journal =
        Mem.allocate(
            packed
                ? PackedInflight.regionLength(queueSize)
                : SplitInflight.regionLength(queueSize));
    this.counters = Mem.allocate(128);
    this.setup = newSetup(-1, null, -1, driver.initialBase(), false);
    disk.guestMemory(memory);
  }

  QueueSetup newSetup(
      final long usedLogAddress,
      final DirtyLog log,
      final int callFd,
      final int base,
      final boolean readOnly) {
    return new QueueSetup(
        1,
        0,
        queueSize,
        packed,
        features,
        memory,
        memory.translate(driver.descriptorGuestAddress(), 1),
        memory.translate(driver.driverAreaGuestAddress(), 1),
        memory.translate(driver.deviceAreaGuestAddress(), 1),
        usedLogAddress,
        log,
        -1,
        callFd,
        journal,
        base,
        counters,
        disk,
        readOnly,
        true,
        SERIAL);
  }

  /** Makes an agent as a newly started process would, and starts it. */
  int startAgent() {
    agent = VirtqueueAgent.create(setup, disk, disk.limits().gate(this), RING_SLOT);
    return agent.start();
  }

  /** Forgets the agent, as the death of its process does. */
  void dropAgent() {
    if (agent != null) {
      agent.free();
      agent = null;
    }
  }

  static Rig started(
      final boolean packed, final int queueSize, final long extraFeatures, final TestDisk disk) {
    final Rig rig = new Rig(packed, queueSize, extraFeatures, disk);
    rig.startAgent();
    return rig;
  }

  /** One request with one data segment of the data area, seen through to its end; its status. */
  int request(
      final int type, final long sector, final long offset, final int length, final boolean in) {
    final int token = driver.begin(type, sector);
    if (length > 0) {
      driver.data(guestData + offset, length, in);
    }
    if (!driver.add()) {
      throw new IllegalStateException("ring is full");
    }
    return complete(token);
  }

  /** Publishes what was added, runs the agent, takes the one completion; its status. */
  int complete(final int token) {
    driver.publish();
    agent.poll(queueSize);
    agent.flush();
    final int finished = driver.poll();
    if (finished != token) {
      throw new AssertionError("finished " + finished + ", expected " + token);
    }
    final int status = driver.status(token);
    driver.reclaim(token);
    return status;
  }

  boolean isInRings(final long address) {
    return address >= alignedRings && address < alignedRings + ringBytes;
  }

  int read(final long sector, final long offset, final int length) {
    return request(BlkRequest.TYPE_IN, sector, offset, length, true);
  }

  int write(final long sector, final long offset, final int length) {
    return request(BlkRequest.TYPE_OUT, sector, offset, length, false);
  }

  /** Copies from the guest's data area; may cross its two regions. */
  byte[] guestBytes(final long offset, final int length) {
    final byte[] bytes = new byte[length];
    for (int i = 0; i < length; i++) {
      bytes[i] = Mem.getByte(memory.translate(guestData + offset + i, 1));
    }
    return bytes;
  }

  void guestBytes(final long offset, final byte[] bytes) {
    for (int i = 0; i < bytes.length; i++) {
      Mem.putByte(memory.translate(guestData + offset + i, 1), bytes[i]);
    }
  }

  static byte[] randomBytes(final Random random, final int length) {
    final byte[] bytes = new byte[length];
    random.nextBytes(bytes);
    return bytes;
  }

  long counter(final QueueCounter counter) {
    return Mem.getLong(counters + counter.offsetBytes());
  }

  /** Host address of the descriptor table or ring. */
  long descriptors() {
    return setup.descriptorAddress();
  }

  /** Whether nobody wrote around the regions. */
  boolean guardsHold() {
    return guardHolds(block, alignedRings)
        && guardHolds(
            alignedRings + ringBytes + DATA_BYTES,
            alignedRings + ringBytes + DATA_BYTES + GUARD_BYTES)
        && guardHolds(alignedRings + ringBytes + 2L * DATA_BYTES + GUARD_BYTES, block + blockBytes);
  }

  private static boolean guardHolds(final long from, final long to) {
    for (long address = from; address < to; address++) {
      if (Mem.getByte(address) != GUARD) {
        return false;
      }
    }
    return true;
  }

  /** Takes every completion; how many. */
  int reapAll() {
    int count = 0;
    for (int token = driver.poll(); token != DriverQueue.NONE; token = driver.poll()) {
      driver.reclaim(token);
      count++;
    }
    return count;
  }

  @Override
  public void close() {
    dropAgent();
    disk.close();
    Mem.free(journal);
    Mem.free(counters);
    Mem.free(block);
  }
}

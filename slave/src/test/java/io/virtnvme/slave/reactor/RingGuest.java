package io.virtnvme.slave.reactor;

import io.virtnvme.ipc.memory.Mem;
import io.virtnvme.ipc.relay.BdevDescription;
import io.virtnvme.ipc.segment.BootId;
import io.virtnvme.ipc.segment.SegmentDirectory;
import io.virtnvme.ipc.segment.SessionSegment;
import io.virtnvme.ipc.sys.EventFd;
import io.virtnvme.ipc.sys.Fds;
import io.virtnvme.ipc.sys.Mapping;
import io.virtnvme.ipc.sys.Memfd;
import io.virtnvme.ipc.virtio.BlkFeature;
import io.virtnvme.ipc.virtio.BlkRequest;
import io.virtnvme.ipc.virtio.DriverQueue;
import io.virtnvme.ipc.virtio.SplitDriverQueue;
import io.virtnvme.ipc.virtio.VirtioFeature;
import io.virtnvme.journal.SplitInflight;
import io.virtnvme.slave.bdev.Bdev;
import io.virtnvme.slave.bdev.Bdevs;
import io.virtnvme.slave.virtqueue.GuestMemory;
import io.virtnvme.slave.virtqueue.MemoryRegion;
import io.virtnvme.slave.virtqueue.QueueSetup;
import java.nio.file.Path;
import java.util.List;

/** A guest with one split ring in a memfd of its own, which it can cut short. */
final class RingGuest implements AutoCloseable {
  static final int QUEUE_SIZE = 64;
  private static final long GUEST_BASE = 0x4000_0000L;
  private static final int BUFFER_OFFSET = 1 << 20;
  private static final int MEMORY_BYTES = 2 << 20;

  final int memfd = Memfd.create("guest", MEMORY_BYTES);
  final Mapping backEndView = Mapping.map(memfd, 0, MEMORY_BYTES);
  final Mapping guestView = Mapping.map(memfd, 0, MEMORY_BYTES);
  final int kickFd = EventFd.create();
  final int callFd = EventFd.create();
  final long journal = Mem.allocate(SplitInflight.regionLength(QUEUE_SIZE));
  final long counters = Mem.allocate(SessionSegment.QUEUE_LENGTH);
  final DriverQueue driver;
  private final long features =
      VirtioFeature.of(VirtioFeature.VERSION_1, VirtioFeature.RING_EVENT_IDX)
          | VirtioFeature.of(BlkFeature.FLUSH);

  RingGuest() {
    driver = new SplitDriverQueue(guestView.address(), GUEST_BASE, QUEUE_SIZE, features, 2);
  }

  /** A disk of 512 MiB that moves no byte. */
  static Bdev nullDisk(final String name) {
    return Bdevs.open(
        new BdevDescription(name, BdevDescription.Kind.NULL, 512, 1 << 20, "", false, name),
        new SegmentDirectory(Path.of("/nowhere"), 1, BootId.current()));
  }

  QueueSetup setup(final long sessionId, final Bdev bdev) {
    return setup(sessionId, bdev, kickFd);
  }

  /** The same, with another descriptor for its kicks. */
  QueueSetup setup(final long sessionId, final Bdev bdev, final int kick) {
    final GuestMemory memory =
        GuestMemory.of(
            List.of(
                new MemoryRegion(
                    GUEST_BASE, GUEST_BASE, MEMORY_BYTES, backEndView.address(), memfd, 0)));
    return new QueueSetup(
        sessionId,
        0,
        QUEUE_SIZE,
        false,
        features,
        memory,
        memory.translate(driver.descriptorGuestAddress(), 1),
        memory.translate(driver.driverAreaGuestAddress(), 1),
        memory.translate(driver.deviceAreaGuestAddress(), 1),
        -1,
        null,
        kick,
        callFd,
        journal,
        driver.initialBase(),
        counters,
        bdev,
        false,
        true,
        new byte[20]);
  }

  /** Publishes one 4 KiB read; its token. */
  int submitRead() {
    final int token = driver.begin(BlkRequest.TYPE_IN, 0);
    driver.data(GUEST_BASE + BUFFER_OFFSET + token * 4096L, 4096, true);
    if (!driver.add()) {
      throw new IllegalStateException("ring is full");
    }
    driver.publish();
    return token;
  }

  void cutShort() {
    Fds.truncate(memfd, 0);
  }

  @Override
  public void close() {
    backEndView.close();
    guestView.close();
    Fds.close(memfd);
    Fds.close(kickFd);
    Fds.close(callFd);
    Mem.free(journal);
    Mem.free(counters);
  }
}

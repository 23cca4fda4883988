package io.virtnvme.slave.reactor;

import io.virtnvme.ipc.memory.Mem;
import io.virtnvme.ipc.relay.BdevDescription;
import io.virtnvme.ipc.relay.TakeoverReport;
import io.virtnvme.ipc.segment.MemDiskSegment;
import io.virtnvme.ipc.segment.SeatSegment;
import io.virtnvme.ipc.segment.SegmentDirectory;
import io.virtnvme.ipc.segment.SessionSegment;
import io.virtnvme.ipc.sys.EventFd;
import io.virtnvme.ipc.sys.Fds;
import io.virtnvme.ipc.sys.Processes;
import io.virtnvme.ipc.virtio.BlkFeature;
import io.virtnvme.ipc.virtio.BlkRequest;
import io.virtnvme.ipc.virtio.DriverQueue;
import io.virtnvme.ipc.virtio.PackedDriverQueue;
import io.virtnvme.ipc.virtio.SplitDriverQueue;
import io.virtnvme.ipc.virtio.VirtioFeature;
import io.virtnvme.journal.PackedInflight;
import io.virtnvme.journal.SplitInflight;
import io.virtnvme.slave.bdev.Bdev;
import io.virtnvme.slave.bdev.Bdevs;
import io.virtnvme.slave.bdev.BlockChannel;
import io.virtnvme.slave.bdev.ReactorIo;
import io.virtnvme.slave.virtqueue.GuestMemory;
import io.virtnvme.slave.virtqueue.MemoryRegion;
import io.virtnvme.slave.virtqueue.QueueSetup;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.function.Supplier;

/**
 * The self-check of a standby: plays guest and back-end on private memory until the main loop,
 * every kind of ring and disk and every path of a recovery are compiled, so that the first request
 * after a takeover runs at full speed. Fails if any request fails. Runs on a thread of its own
 * before the standby reports that it is ready.
 */
public final class WarmUp {
  private static final int QUEUE_SIZE = 128;
  private static final int SEGMENT_MAX = 4;
  private static final int DEPTH = 32;
  private static final int BLOCK_BYTES = 4096;
  private static final int DISK_BYTES = 2 * 1024 * 1024;

  /**
   * More than one: code that was compiled while it knew one kind of disk is compiled again when it
   * meets the next, and then calls what it had inlined before.
   */
  private static final int ROUNDS = 3;

  private static final int REQUESTS_IN_MEMORY = 40_000;
  private static final int REQUESTS_IN_FILE = 4_000;
  private static final int RECOVERIES = 33;
  private static final long GUEST_BASE = 0x1000_0000L;
  private static final long IDLE_SPIN_NS = Long.MAX_VALUE;
  private static final int SERIAL_BYTES = 20;
  private static final long ALIGNMENT = 4096;

  private final Supplier<ReactorIo> ioFactory;
  private final boolean packed;
  private final Bdev bdev;
  private final long block;
  private final long ringAddress;
  private final long bufferAddress;
  private final long inflightAddress;
  private final long inflightBytes;
  private final long countersAddress;
  private final long seatBlock;
  private final GuestMemory memory;
  private final int callFd = EventFd.create();
  private DriverQueue driver;
  private Reactor reactor;
  private long features;
  private long sector;

  private WarmUp(final Supplier<ReactorIo> ioFactory, final boolean packed, final Bdev bdev) {
    this.ioFactory = ioFactory;
    this.packed = packed;
    this.bdev = bdev;
    final long ringBytes =
        align(
            packed
                ? PackedDriverQueue.length(QUEUE_SIZE, SEGMENT_MAX)
                : SplitDriverQueue.length(QUEUE_SIZE, SEGMENT_MAX));
    final long bufferBytes = (long) QUEUE_SIZE * BLOCK_BYTES;
    inflightBytes =
        packed ? PackedInflight.regionLength(QUEUE_SIZE) : SplitInflight.regionLength(QUEUE_SIZE);
    final long guestBytes = ringBytes + bufferBytes;
    block =
        Mem.allocate(
            guestBytes
                + align(inflightBytes)
                + SessionSegment.QUEUE_LENGTH
                + SeatSegment.REACTOR_LENGTH
                + ALIGNMENT);
    ringAddress = align(block);
    bufferAddress = ringAddress + ringBytes;
    inflightAddress = ringAddress + guestBytes;
    countersAddress = inflightAddress + align(inflightBytes);
    seatBlock = countersAddress + SessionSegment.QUEUE_LENGTH;
    memory =
        GuestMemory.of(
            List.of(new MemoryRegion(GUEST_BASE, GUEST_BASE, guestBytes, ringAddress, -1, 0)));
  }

  private static long align(final long value) {
    return (value + ALIGNMENT - 1) & -ALIGNMENT;
  }

  /** Warms up everything once; throws {@link IllegalStateException} when a request fails. */
  public static void run(final SegmentDirectory segments, final Supplier<ReactorIo> ioFactory) {
    final String name = ".warm-up-" + Processes.currentPid();
    final Path file = segments.path().resolve(name);
    try {
      MemDiskSegment.create(segments, name, DISK_BYTES).close();
      final int fd = Fds.open(file.toString(), Fds.O_RDWR | Fds.O_CREAT, 0600);
      Fds.truncate(fd, DISK_BYTES);
      Fds.close(fd);
      for (int round = 0; round < ROUNDS; round++) {
        for (final BdevDescription.Kind kind : BdevDescription.Kind.values()) {
          final BdevDescription description =
              new BdevDescription(
                  name,
                  kind,
                  BLOCK_BYTES,
                  DISK_BYTES / BLOCK_BYTES,
                  file.toString(),
                  false,
                  "warm-up");
          try (Bdev disk = Bdevs.open(description, segments)) {
            final int requests =
                kind == BdevDescription.Kind.URING ? REQUESTS_IN_FILE : REQUESTS_IN_MEMORY;
            warm(ioFactory, false, disk, requests);
            warm(ioFactory, true, disk, requests);
            if (round == ROUNDS - 1 && kind == BdevDescription.Kind.NULL) {
              rehearseTakeover(segments, ioFactory, false, disk);
              rehearseTakeover(segments, ioFactory, true, disk);
            }
          }
        }
      }
    } finally {
      deleteIfThere(file);
      deleteIfThere(segments.memDisk(name));
    }
    Processes.trimNativeHeap();
  }

  private static void deleteIfThere(final Path path) {
    try {
      Files.deleteIfExists(path);
    } catch (final IOException e) {
      throw new IllegalStateException("cannot remove " + path + ": " + e.getMessage(), e);
    }
  }

  private static void warm(
      final Supplier<ReactorIo> ioFactory,
      final boolean packed,
      final Bdev disk,
      final int requests) {
    final WarmUp warmUp = new WarmUp(ioFactory, packed, disk);
    try {
      warmUp.begin();
      warmUp.serve(requests);
      for (int i = 0; i < RECOVERIES; i++) {
        warmUp.dieAndRecover(i % (DEPTH + 1));
      }
    } finally {
      warmUp.end();
    }
  }

  private static void rehearseTakeover(
      final SegmentDirectory segments,
      final Supplier<ReactorIo> ioFactory,
      final boolean packed,
      final Bdev disk) {
    final WarmUp warmUp = new WarmUp(ioFactory, packed, disk);
    try {
      warmUp.begin();
      TakeoverRehearsal.run(segments, ioFactory, warmUp.setup(disk));
    } finally {
      warmUp.end();
    }
  }

  private void begin() {
    features =
        VirtioFeature.of(
                VirtioFeature.VERSION_1,
                VirtioFeature.RING_INDIRECT_DESC,
                VirtioFeature.RING_EVENT_IDX)
            | VirtioFeature.of(BlkFeature.FLUSH)
            | (packed ? VirtioFeature.of(VirtioFeature.RING_PACKED) : 0);
    driver =
        packed
            ? new PackedDriverQueue(ringAddress, GUEST_BASE, QUEUE_SIZE, features, SEGMENT_MAX)
            : new SplitDriverQueue(ringAddress, GUEST_BASE, QUEUE_SIZE, features, SEGMENT_MAX);
    Mem.fill(inflightAddress, inflightBytes, (byte) 0);
    startReactor(bdev);
  }

  private void end() {
    if (reactor != null) {
      reactor.close();
    }
    Fds.close(callFd);
    Mem.free(block);
  }

  private void startReactor(final Bdev disk) {
    reactor = new Reactor(seatBlock, IDLE_SPIN_NS, ioFactory.get(), new Complaints());
    reactor.start(reactor.make(setup(disk)));
  }

  private QueueSetup setup(final Bdev disk) {
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
        inflightAddress,
        driver.initialBase(),
        countersAddress,
        disk,
        false,
        true,
        new byte[SERIAL_BYTES]);
  }

  private void serve(final int requests) {
    int submitted = 0;
    int reaped = 0;
    while (reaped < requests) {
      while (submitted < requests && submitted - reaped < DEPTH && submit(submitted)) {
        submitted++;
      }
      driver.publish();
      cycle();
      reaped += reap();
    }
  }

  private void cycle() {
    final long nowNs = System.nanoTime();
    reactor.idle(reactor.doWork(nowNs), nowNs);
  }

  private boolean submit(final int number) {
    final boolean write = (number & 1) == 0;
    sector =
        (sector + BLOCK_BYTES / BlkRequest.SECTOR_BYTES) % (DISK_BYTES / BlkRequest.SECTOR_BYTES);
    final boolean flush = number % 1024 == 1023;
    final int type =
        flush ? BlkRequest.TYPE_FLUSH : write ? BlkRequest.TYPE_OUT : BlkRequest.TYPE_IN;
    final int token = driver.begin(type, flush ? 0 : sector);
    if (token == DriverQueue.NONE) {
      return false;
    }
    if (!flush) {
      final long buffer = GUEST_BASE + (bufferAddress - ringAddress) + (long) token * BLOCK_BYTES;
      if (number % 4 == 0) {
        driver.data(buffer, BLOCK_BYTES / 2, !write);
        driver.data(buffer + BLOCK_BYTES / 2, BLOCK_BYTES / 2, !write);
      } else {
        driver.data(buffer, BLOCK_BYTES, !write);
      }
    }
    return driver.add();
  }

  private int reap() {
    int count = 0;
    for (int token = driver.poll(); token != DriverQueue.NONE; token = driver.poll()) {
      if (driver.status(token) != BlkRequest.STATUS_OK) {
        throw new IllegalStateException(
            "self-check failed: status=" + driver.status(token) + " disk=" + bdev.description());
      }
      driver.reclaim(token);
      count++;
    }
    return count;
  }

  /**
   * Lets a reactor fetch requests that its disk never ends, as a kill would leave them, and another
   * one finish them.
   */
  private void dieAndRecover(final int inFlightCount) {
    reactor.close();
    startReactor(new StalledBdev(bdev));
    for (int i = 0; i < inFlightCount; i++) {
      submit(i);
    }
    driver.publish();
    cycle();
    reactor.close();
    startReactor(bdev);
    int reaped = 0;
    while (reaped < inFlightCount) {
      cycle();
      reaped += reap();
    }
  }

  /** A disk that accepts everything and ends nothing. */
  private record StalledBdev(Bdev disk) implements Bdev {
    @Override
    public BdevDescription description() {
      return disk.description();
    }

    @Override
    public boolean needsFence() {
      return false;
    }

    @Override
    public boolean tryFence() {
      return true;
    }

    @Override
    public BlockChannel channel(final ReactorIo io) {
      return new StalledChannel(disk.description());
    }

    @Override
    public void resize(final long blockCount) {}

    @Override
    public void close() {}
  }

  private record StalledChannel(BdevDescription description) implements BlockChannel {
    @Override
    public int submit(
        final int operation,
        final long iovecs,
        final int iovecCount,
        final long offsetBytes,
        final long lengthBytes,
        final int flags,
        final long tag) {
      return PENDING;
    }

    @Override
    public long lengthBytes() {
      return description.lengthBytes();
    }

    @Override
    public int blockBytes() {
      return description.blockBytes();
    }
  }

  /** Nothing may go wrong here: whatever a reactor reports ends the self-check. */
  private static final class Complaints implements ReactorEvents {
    @Override
    public void onSeatOwned(final int seatId, final TakeoverReport report) {}

    @Override
    public void onTakeoverMeasured(final int seatId, final TakeoverReport report) {}

    @Override
    public void onSessionFailed(final long sessionId, final String reason) {
      throw new IllegalStateException("self-check failed: " + reason);
    }

    @Override
    public void onSeatReleased(final int seatId) {}

    @Override
    public void execute(final Runnable task) {
      task.run();
    }

    @Override
    public void onFatal(final Throwable error) {
      throw new IllegalStateException("self-check failed", error);
    }
  }
}

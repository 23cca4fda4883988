package io.virtnvme.slave.reactor;

import io.virtnvme.ipc.memory.Mem;
import io.virtnvme.ipc.relay.BdevDescription;
import io.virtnvme.ipc.relay.BdevLimits;
import io.virtnvme.ipc.segment.DirtySegment;
import io.virtnvme.ipc.segment.MemDiskSegment;
import io.virtnvme.ipc.segment.SeatSegment;
import io.virtnvme.ipc.segment.SegmentDirectory;
import io.virtnvme.ipc.sys.Fds;
import io.virtnvme.ipc.sys.Processes;
import io.virtnvme.slave.bdev.Bdev;
import io.virtnvme.slave.bdev.Bdevs;
import io.virtnvme.slave.bdev.BlockChannel;
import io.virtnvme.slave.bdev.ReactorIo;
import java.io.IOException;
import java.lang.management.CompilationMXBean;
import java.lang.management.ManagementFactory;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.EnumSet;
import java.util.List;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.locks.LockSupport;
import java.util.function.Supplier;

/**
 * The self-check of a standby: plays guest and back-end on private memory until the main loop,
 * every kind of ring, disk and request and every path of a recovery are compiled, so that the first
 * request after a takeover runs at full speed. Code that meets something new after that is thrown
 * away and interpreted until it is compiled again, which takes 0.1 s on a busy core. Fails if any
 * request fails. Runs on a thread of its own before the standby reports that it is ready.
 */
public final class WarmUp {
  static final int DISK_BYTES = 2 * 1024 * 1024;
  static final int BLOCK_BYTES = 4096;

  /** A disk on an NVMe device needs the device. */
  private static final List<BdevDescription.Kind> DISKS =
      List.copyOf(EnumSet.complementOf(EnumSet.of(BdevDescription.Kind.NVME)));

  /** One for each kind of ring that a reactor may ever meet. */
  private static final List<GuestFactory> GUESTS =
      List.of(
          (disk, variant) -> new WarmUpGuest(disk, false, variant),
          (disk, variant) -> new WarmUpGuest(disk, true, variant),
          NvmeWarmUpGuest::new,
          QpairWarmUpGuest::new);

  /** Takeovers are rehearsed with it, in the second round: what they need is compiled by then. */
  private static final int REHEARSAL_VARIANT = WarmUpGuest.VARIANT_COUNT - 2;

  /**
   * What one ring of one disk is given to do.
   *
   * @param recoveries from 0, 1, 2, ... requests in flight
   * @param napShare one in so many of the guest's naps: they are slow
   */
  private record Portion(int requests, int recoveries, int napShare) {}

  /**
   * The first round shows the JVM every kind of ring, disk and request before it has compiled
   * anything for good: code that was compiled while it knew fewer kinds is thrown away when it
   * meets the next one. Far fewer requests than it compiles a method after.
   */
  private static final Portion FIRST = new Portion(100, 3, 300);

  private static final Portion IN_MEMORY = new Portion(40_000, 33, 4);
  private static final Portion IN_FILE = new Portion(4_000, 33, 4);

  /** A null disk is held back by them, the others are looked at and pass. */
  private static final BdevLimits LIMITS =
      new BdevLimits(1_000_000, BdevLimits.VALUE_MAX, BdevLimits.VALUE_MAX, BdevLimits.VALUE_MAX);

  /** One request in so many is for a disk with limits, whose changes are marked. */
  private static final int LIMITED_SHARE = 8;

  /** The compilers have nothing to do when they did nothing for so long. */
  private static final long QUIET_NS = 150_000_000L;

  private static final long QUIET_LIMIT_NS = 20_000_000_000L;
  private static final long LOOK_NS = 10_000_000;

  /** More than a flush of a busy disk takes. */
  private static final long STILL_LIMIT_NS = 60_000_000_000L;

  private final Supplier<ReactorIo> ioFactory;
  private final RehearsalGuest guest;
  private final long seatBlock = Mem.allocate(SeatSegment.REACTOR_LENGTH);
  private Reactor reactor;
  private DutyCycle dutyCycle;
  private int commandCount;
  private long lastReapNs;

  private WarmUp(final Supplier<ReactorIo> ioFactory, final RehearsalGuest guest) {
    this.ioFactory = ioFactory;
    this.guest = guest;
  }

  /** Warms up everything once; throws {@link IllegalStateException} when a request fails. */
  public static void run(final SegmentDirectory segments, final Supplier<ReactorIo> ioFactory) {
    final String name = ".warm-up-" + Processes.currentPid();
    final Path file = segments.path().resolve(name);
    try {
      MemDiskSegment.create(segments, name, DISK_BYTES).close();
      DirtySegment.create(segments, name, DISK_BYTES, DirtySegment.GRAIN_SHIFT_MIN, false);
      final int fd = Fds.open(file.toString(), Fds.O_RDWR | Fds.O_CREAT, 0600);
      Fds.truncate(fd, DISK_BYTES);
      Fds.close(fd);
      for (final boolean first : new boolean[] {true, false}) {
        for (int variant = 0; variant < WarmUpGuest.VARIANT_COUNT; variant++) {
          for (final BdevDescription.Kind kind : DISKS) {
            final Portion later = kind == BdevDescription.Kind.URING ? IN_FILE : IN_MEMORY;
            try (Bdev disk = Bdevs.open(description(name, kind, file), segments)) {
              for (final GuestFactory guest : GUESTS) {
                warm(segments, ioFactory, guest.make(disk, variant), first ? FIRST : later);
              }
              if (!first && variant == REHEARSAL_VARIANT && kind == BdevDescription.Kind.NULL) {
                for (final GuestFactory guest : GUESTS) {
                  rehearse(segments, ioFactory, guest.make(disk, variant));
                }
              }
            }
          }
        }
      }
    } finally {
      deleteIfThere(file);
      deleteIfThere(segments.memDisk(name));
      deleteIfThere(segments.dirty(name));
    }
    Processes.trimNativeHeap();
    awaitCompilers();
  }

  /** What they have not done yet would be done on the core, and in the time, of a takeover. */
  private static void awaitCompilers() {
    final CompilationMXBean compilers = ManagementFactory.getCompilationMXBean();
    if (compilers == null || !compilers.isCompilationTimeMonitoringSupported()) {
      return;
    }
    final long beginNs = System.nanoTime();
    long quietSinceNs = beginNs;
    long spentMs = compilers.getTotalCompilationTime();
    while (System.nanoTime() - quietSinceNs < QUIET_NS
        && System.nanoTime() - beginNs < QUIET_LIMIT_NS) {
      LockSupport.parkNanos(LOOK_NS);
      if (compilers.getTotalCompilationTime() != spentMs) {
        spentMs = compilers.getTotalCompilationTime();
        quietSinceNs = System.nanoTime();
      }
    }
  }

  private static void deleteIfThere(final Path path) {
    try {
      Files.deleteIfExists(path);
    } catch (final IOException e) {
      throw new IllegalStateException("cannot remove " + path + ": " + e.getMessage(), e);
    }
  }

  private static BdevDescription description(
      final String name, final BdevDescription.Kind kind, final Path file) {
    return new BdevDescription(
        name, kind, BLOCK_BYTES, DISK_BYTES / BLOCK_BYTES, file.toString(), false, "warm-up");
  }

  private static void warm(
      final SegmentDirectory segments,
      final Supplier<ReactorIo> ioFactory,
      final RehearsalGuest guest,
      final Portion portion) {
    final WarmUp warmUp = new WarmUp(ioFactory, guest);
    try {
      warmUp.startReactor(guest.bdev(), Long.MAX_VALUE);
      warmUp.serve(portion.requests());
      warmUp.serveWithLimitsAndMarks(segments, portion.requests() / LIMITED_SHARE);
      for (int i = 0; i < portion.recoveries(); i++) {
        warmUp.dieAndRecover(i % (WarmUpGuest.DEPTH + 1));
      }
      warmUp.reactor.close();
      warmUp.startReactor(guest.bdev(), 0);
      warmUp.nap(guest.napCount() / portion.napShare());
    } finally {
      warmUp.end();
    }
  }

  private void serveWithLimitsAndMarks(final SegmentDirectory segments, final int requests) {
    final Bdev disk = guest.bdev();
    disk.limits().set(LIMITS);
    if (disk.tracking() != null) {
      disk.tracking().set(DirtySegment.open(segments, disk.description().name()));
    }
    serve(requests);
    if (disk.tracking() != null) {
      // This thread is the reactor, and no request runs.
      disk.tracking().close();
    }
    disk.limits().set(BdevLimits.NONE);
  }

  private void end() {
    if (reactor != null) {
      reactor.close();
    }
    Mem.free(seatBlock);
    guest.close();
  }

  private static void rehearse(
      final SegmentDirectory segments,
      final Supplier<ReactorIo> ioFactory,
      final RehearsalGuest guest) {
    try {
      TakeoverRehearsal.run(segments, ioFactory, guest);
    } finally {
      guest.close();
    }
  }

  private void startReactor(final Bdev disk, final long idleSpinNs) {
    // One ring that counts as idle after each pause, so that what hundreds of them need is
    // compiled.
    reactor =
        new Reactor(seatBlock, idleSpinNs, ioFactory.get(), new Complaints(), new PollOrder(0, 0));
    reactor.start(reactor.make(guest.setup(disk)));
    dutyCycle = new DutyCycle(reactor);
    // As after a takeover, though this thread has no such priority: its rests are to be compiled.
    dutyCycle.begin(System.nanoTime(), true);
    lastReapNs = System.nanoTime();
  }

  private void serve(final int requests) {
    int reaped = 0;
    while (reaped < requests) {
      guest.send(WarmUpGuest.DEPTH - guest.inFlightCount());
      reaped += cycleAndReap();
    }
    while (guest.inFlightCount() > 0) {
      cycleAndReap();
    }
  }

  /** A standby that stands still here must not count as one that is about to be ready. */
  private int cycleAndReap() {
    dutyCycle.run(false);
    final int reaped = guest.reap();
    final long nowNs = System.nanoTime();
    if (reaped > 0) {
      lastReapNs = nowNs;
    } else if (nowNs - lastReapNs > STILL_LIMIT_NS) {
      throw new IllegalStateException(
          "self-check failed: no request ended for "
              + TimeUnit.NANOSECONDS.toSeconds(STILL_LIMIT_NS)
              + " s: "
              + guest);
    }
    return reaped;
  }

  /**
   * Ways into sleep and out of it: woken by a kick, by a command, by work that is there already.
   */
  private void nap(final int count) {
    for (int i = 0; i < count; i++) {
      switch (i % 3) {
        case 0 -> guest.kick();
        case 1 -> command(i);
        default -> guest.send(1);
      }
      reactor.idle(0, System.nanoTime());
      guest.kick();
      dutyCycle.run(false);
      while (guest.inFlightCount() > 0) {
        // Else the reactor might sleep for long when it has nothing to do.
        guest.kick();
        cycleAndReap();
      }
    }
  }

  /** Of several kinds, as from the control thread. */
  private void command(final int number) {
    switch (number % 4) {
      case 0 -> reactor.execute(() -> commandCount++);
      case 1 -> reactor.execute(() -> commandCount--);
      default -> reactor.execute(this::onCommand);
    }
  }

  private void onCommand() {
    commandCount = 0;
  }

  /**
   * Lets a reactor fetch requests that its disk never ends, as a kill would leave them, and another
   * one finish them.
   */
  private void dieAndRecover(final int inFlightCount) {
    reactor.close();
    startReactor(new StalledBdev(guest.bdev()), Long.MAX_VALUE);
    guest.send(inFlightCount);
    dutyCycle.run(false);
    reactor.close();
    startReactor(guest.bdev(), Long.MAX_VALUE);
    while (guest.inFlightCount() > 0) {
      cycleAndReap();
    }
  }

  /** Makes a guest with a ring of its own on the disk; {@code variant} selects its features. */
  @FunctionalInterface
  private interface GuestFactory {
    RehearsalGuest make(Bdev disk, int variant);
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
    public void onSeatOwned(final int seatId) {}

    @Override
    public void onTakeoverMeasured(final int seatId) {}

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

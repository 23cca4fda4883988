package io.virtnvme.slave.reactor;

import static io.virtnvme.ipc.segment.SeatSegment.ACTIVITY_ASLEEP;
import static io.virtnvme.ipc.segment.SeatSegment.ACTIVITY_OFFSET;
import static org.awaitility.Awaitility.await;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.virtnvme.ipc.memory.Mem;
import io.virtnvme.ipc.relay.BdevDescription;
import io.virtnvme.ipc.segment.BootId;
import io.virtnvme.ipc.segment.SeatSegment;
import io.virtnvme.ipc.segment.SegmentDirectory;
import io.virtnvme.ipc.sys.Fds;
import io.virtnvme.ipc.virtio.BlkRequest;
import io.virtnvme.ipc.virtio.DriverQueue;
import io.virtnvme.slave.bdev.Bdev;
import io.virtnvme.slave.bdev.Bdevs;
import io.virtnvme.slave.bdev.UringReactorIo;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.concurrent.atomic.AtomicInteger;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** NVMe queues on a reactor, stepped by hand and on a thread of its own. */
class NvmeReactorTest implements ReactorEvents {
  private static final int CYCLES_MAX = 100_000;
  private static final long LIMIT_NS = 20_000_000_000L;

  @TempDir Path folder;
  private final long seatBlock = Mem.allocate(SeatSegment.REACTOR_LENGTH);
  private final List<Long> failedSessions = new ArrayList<>();
  private final List<String> reasons = new ArrayList<>();
  private Reactor reactor = new Reactor(seatBlock, Long.MAX_VALUE, new UringReactorIo(), this);

  @AfterEach
  void close() {
    reactor.close();
    Mem.free(seatBlock);
  }

  private Bdev disk(final BdevDescription.Kind kind) {
    final Path file = folder.resolve("disk");
    final int fd = Fds.open(file.toString(), Fds.O_RDWR | Fds.O_CREAT, 0600);
    Fds.truncate(fd, WarmUp.DISK_BYTES);
    Fds.close(fd);
    return Bdevs.open(
        new BdevDescription(
            "n",
            kind,
            WarmUp.BLOCK_BYTES,
            WarmUp.DISK_BYTES / WarmUp.BLOCK_BYTES,
            file.toString(),
            false,
            "n"),
        new SegmentDirectory(folder, 1, BootId.current()));
  }

  private void step() {
    final long nowNs = System.nanoTime();
    try {
      reactor.idle(reactor.doWork(nowNs), nowNs);
    } catch (final InternalError e) {
      assertTrue(reactor.recoverFromMemoryFault(), "a fault that no short memory explains: " + e);
    }
  }

  private void serve(final NvmeWarmUpGuest guest, final int commandCount) {
    int reaped = 0;
    final long beginNs = System.nanoTime();
    while ((reaped < commandCount || guest.inFlightCount() > 0)
        && System.nanoTime() - beginNs < LIMIT_NS) {
      if (reaped < commandCount) {
        guest.send(WarmUpGuest.DEPTH - guest.inFlightCount());
      }
      step();
      reaped += guest.reap();
    }
    assertEquals(0, guest.inFlightCount(), "commands without end");
  }

  @ParameterizedTest
  @CsvSource({"NULL, 0", "NULL, 1", "NULL, 2", "URING, 0", "URING, 1", "URING, 2"})
  void shouldServeCommandsOfEveryKind(final BdevDescription.Kind kind, final int variant) {
    try (Bdev disk = disk(kind);
        NvmeWarmUpGuest guest = new NvmeWarmUpGuest(disk, variant)) {
      reactor.start(reactor.make(guest.setup(disk)));
      serve(guest, 2000);
      reactor.close();
      // As after a death with nothing in flight.
      reactor = new Reactor(seatBlock, Long.MAX_VALUE, new UringReactorIo(), this);
      reactor.start(reactor.make(guest.setup(disk)));
      serve(guest, 2000);
      assertEquals(List.of(), failedSessions);
    }
  }

  @Test
  void shouldServeOthersWhenAControllerCutsItsMemoryShort() {
    try (Bdev disk = disk(BdevDescription.Kind.NULL);
        NvmeWarmUpGuest hostile = new NvmeWarmUpGuest(disk, 0);
        NvmeWarmUpGuest alike = new NvmeWarmUpGuest(disk, 2);
        RingGuest good = new RingGuest()) {
      reactor.start(reactor.make(hostile.setup(disk)));
      reactor.start(reactor.make(good.setup(2, disk)));
      serve(hostile, 100);
      hostile.send(10);
      Fds.truncate(hostile.memoryFd, 0);
      for (int i = 0; i < 1000; i++) {
        good.submitRead();
        int token = DriverQueue.NONE;
        for (int cycle = 0; cycle < CYCLES_MAX && token == DriverQueue.NONE; cycle++) {
          step();
          token = good.driver.poll();
        }
        assertEquals(BlkRequest.STATUS_OK, good.driver.status(token));
        good.driver.reclaim(token);
      }
      assertEquals(List.of(1L), failedSessions);
      assertTrue(reasons.get(0).contains("cut short"), reasons.get(0));
      // The session is closed, and another one comes in its place.
      final List<Integer> stopped = new ArrayList<>();
      reactor.stop(1, 1, stopped::add);
      step();
      assertEquals(List.of(-1), stopped);
      reactor.start(reactor.make(alike.setup(disk)));
      serve(alike, 500);
    }
  }

  @Test
  void shouldServeWhenTheOtherKindOfGuestCutsItsMemoryShort() {
    try (Bdev disk = disk(BdevDescription.Kind.NULL);
        NvmeWarmUpGuest good = new NvmeWarmUpGuest(disk, 0);
        RingGuest hostile = new RingGuest()) {
      reactor.start(reactor.make(hostile.setup(2, disk)));
      reactor.start(reactor.make(good.setup(disk)));
      good.send(10);
      hostile.submitRead();
      hostile.cutShort();
      serve(good, 2000);
      assertEquals(List.of(2L), failedSessions);
    }
  }

  @Test
  void shouldSleepInShortStepsAndSeeDoorbellsThatNobodyAnnounces() throws InterruptedException {
    try (Bdev disk = disk(BdevDescription.Kind.NULL);
        NvmeWarmUpGuest guest = new NvmeWarmUpGuest(disk, 0);
        Reactor sleepy = new Reactor(seatBlock, 0, new UringReactorIo(), this)) {
      sleepy.start(sleepy.make(guest.setup(disk)));
      final AtomicBoolean stop = new AtomicBoolean();
      final AtomicInteger cycles = new AtomicInteger();
      final Thread thread =
          new Thread(
              () -> {
                while (!stop.get()) {
                  final long nowNs = System.nanoTime();
                  sleepy.idle(sleepy.doWork(nowNs), nowNs);
                  cycles.incrementAndGet();
                }
              });
      thread.start();
      try {
        await().until(() -> Mem.getLongAcquire(seatBlock + ACTIVITY_OFFSET) == ACTIVITY_ASLEEP);
        for (int i = 0; i < 20; i++) {
          guest.send(1);
          await().until(() -> guest.reap() == 1);
        }
        final int before = cycles.get();
        final long beforeNs = System.nanoTime();
        await().until(() -> cycles.get() - before > 50);
        assertTrue(
            System.nanoTime() - beforeNs > 50 * 40_000L, "it does not sleep: cycles=" + cycles);
      } finally {
        stop.set(true);
        thread.join(10_000);
      }
    }
  }

  @Override
  public void onSeatOwned(final int seatId) {}

  @Override
  public void onTakeoverMeasured(final int seatId) {}

  @Override
  public void onSessionFailed(final long sessionId, final String reason) {
    failedSessions.add(sessionId);
    reasons.add(reason);
  }

  @Override
  public void onSeatReleased(final int seatId) {}

  @Override
  public void execute(final Runnable task) {
    task.run();
  }

  @Override
  public void onFatal(final Throwable error) {
    throw new AssertionError(error);
  }
}

package io.virtnvme.slave.reactor;

import static io.virtnvme.ipc.segment.SeatSegment.ACTIVITY_ASLEEP;
import static io.virtnvme.ipc.segment.SeatSegment.ACTIVITY_OFFSET;
import static org.awaitility.Awaitility.await;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.virtnvme.ipc.memory.Mem;
import io.virtnvme.ipc.relay.BdevDescription;
import io.virtnvme.ipc.segment.BootId;
import io.virtnvme.ipc.segment.SeatSegment;
import io.virtnvme.ipc.segment.SegmentDirectory;
import io.virtnvme.ipc.segment.SessionSegment.QueueCounter;
import io.virtnvme.ipc.sys.EventFd;
import io.virtnvme.ipc.virtio.BlkRequest;
import io.virtnvme.ipc.virtio.DriverQueue;
import io.virtnvme.slave.bdev.Bdev;
import io.virtnvme.slave.bdev.Bdevs;
import io.virtnvme.slave.bdev.BlockChannel;
import io.virtnvme.slave.bdev.ReactorIo;
import io.virtnvme.slave.bdev.UringReactorIo;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.stream.IntStream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;

/** A reactor stepped by hand. */
class ReactorTest implements ReactorEvents {
  private static final int CYCLES_MAX = 10_000;

  private final long seatBlock = Mem.allocate(SeatSegment.REACTOR_LENGTH);
  private final Reactor reactor =
      new Reactor(seatBlock, Long.MAX_VALUE, new UringReactorIo(), this);
  private final List<Long> failedSessions = new ArrayList<>();
  private final List<String> reasons = new ArrayList<>();
  private final Bdev disk =
      Bdevs.open(
          new BdevDescription("n", BdevDescription.Kind.NULL, 512, 1 << 20, "", false, "n"),
          new SegmentDirectory(Path.of("/nowhere"), 1, BootId.current()));

  @AfterEach
  void close() {
    reactor.close();
    Mem.free(seatBlock);
  }

  /** One duty cycle as a seat's thread does it. */
  private void step() {
    final long nowNs = System.nanoTime();
    try {
      reactor.idle(reactor.doWork(nowNs), nowNs);
    } catch (final InternalError e) {
      assertTrue(reactor.recoverFromMemoryFault(), "a fault that no short memory explains: " + e);
    }
  }

  private int awaitCompletion(final RingGuest guest) {
    for (int i = 0; i < CYCLES_MAX; i++) {
      final int token = guest.driver.poll();
      if (token != DriverQueue.NONE) {
        final int status = guest.driver.status(token);
        guest.driver.reclaim(token);
        return status;
      }
      step();
    }
    throw new AssertionError("no completion within " + CYCLES_MAX + " duty cycles");
  }

  @Test
  void shouldServeOtherSessionsWhenOneCutsItsMemoryShort() {
    try (RingGuest hostile = new RingGuest();
        RingGuest good = new RingGuest()) {
      reactor.start(reactor.make(hostile.setup(1, disk)));
      reactor.start(reactor.make(good.setup(2, disk)));
      hostile.submitRead();
      assertEquals(BlkRequest.STATUS_OK, awaitCompletion(hostile));
      hostile.cutShort();
      for (int i = 0; i < 1000; i++) {
        good.submitRead();
        assertEquals(BlkRequest.STATUS_OK, awaitCompletion(good));
      }
      assertEquals(List.of(1L), failedSessions);
      assertTrue(reasons.get(0).contains("cut short"), reasons.get(0));
      assertEquals(1, Mem.getLong(seatBlock + SeatSegment.QUEUE_FAULTS_OFFSET));
    }
  }

  @Test
  void shouldRunEveryCommandOfAFlood() {
    final List<Integer> ran = new ArrayList<>();
    for (int i = 0; i < 100; i++) {
      final int number = i;
      reactor.execute(() -> ran.add(number));
    }
    step();
    assertTrue(ran.size() < 100, "one duty cycle ran all of them");
    for (int i = 0; i < 100; i++) {
      step();
    }
    assertEquals(IntStream.range(0, 100).boxed().toList(), ran);
  }

  @Test
  void shouldRunTheCommandsBehindOneThatMetAMemoryFault() {
    try (RingGuest hostile = new RingGuest()) {
      reactor.start(reactor.make(hostile.setup(1, disk)));
      hostile.cutShort();
      final List<String> ran = new ArrayList<>();
      reactor.execute(
          () -> {
            throw new InternalError("a page that is not there");
          });
      reactor.execute(() -> ran.add("behind it"));
      step();
      for (int i = 0; i < 100; i++) {
        step();
      }
      assertEquals(List.of("behind it"), ran);
    }
  }

  @Test
  void shouldSleepLongerTheLongerNothingCame() {
    assertEquals(50_000, Reactor.stepNs(0));
    assertEquals(50_000, Reactor.stepNs(50_000_000));
    assertEquals(200_000, Reactor.stepNs(200_000_000));
    assertEquals(1_000_000, Reactor.stepNs(1_000_000_000));
    assertEquals(1_000_000, Reactor.stepNs(Long.MAX_VALUE));
  }

  @Test
  void shouldEndAnAbandonedRingWhenItsSessionIsClosed() {
    try (RingGuest hostile = new RingGuest()) {
      reactor.start(reactor.make(hostile.setup(1, disk)));
      hostile.cutShort();
      for (int i = 0; i < 100; i++) {
        step();
      }
      final List<Integer> bases = new ArrayList<>();
      reactor.stop(1, 0, bases::add);
      step();
      assertEquals(List.of(-1), bases);
      assertEquals(0, reactor.rings().started().length);
    }
  }

  @Test
  void shouldNotTouchARingBeforeTheFenceOfItsDiskIsPassed() {
    final FencedDisk fenced = new FencedDisk(disk);
    try (RingGuest guest = new RingGuest()) {
      final int token = guest.submitRead();
      reactor.start(reactor.make(guest.setup(1, fenced)));
      for (int i = 0; i < 1000; i++) {
        step();
        assertEquals(0, Mem.getLong(guest.journal), "the journal is not even initialised");
        assertEquals(BlkRequest.STATUS_NONE, guest.driver.status(token));
      }
      fenced.open = true;
      assertEquals(BlkRequest.STATUS_OK, awaitCompletion(guest));
      assertTrue(reactor.fencePassedNs() > 0);
    }
  }

  @Test
  void shouldAnswerWithTheNextBaseWhenARingIsStopped() {
    try (RingGuest guest = new RingGuest()) {
      reactor.start(reactor.make(guest.setup(1, disk)));
      for (int i = 0; i < 5; i++) {
        guest.submitRead();
        assertEquals(BlkRequest.STATUS_OK, awaitCompletion(guest));
      }
      final List<Integer> bases = new ArrayList<>();
      reactor.stop(1, 0, bases::add);
      reactor.stop(1, 7, bases::add);
      step();
      assertEquals(List.of(-1, 5), bases);
      assertFalse(reactor.has(1, 0));
    }
  }

  @Test
  void shouldWakeFromSleepByAKick() throws InterruptedException {
    try (RingGuest guest = new RingGuest();
        Reactor sleepy = new Reactor(seatBlock, 0, new UringReactorIo(), this)) {
      sleepy.start(sleepy.make(guest.setup(1, disk)));
      final AtomicBoolean stop = new AtomicBoolean();
      final Thread thread =
          new Thread(
              () -> {
                while (!stop.get()) {
                  final long nowNs = System.nanoTime();
                  sleepy.idle(sleepy.doWork(nowNs), nowNs);
                }
              });
      thread.start();
      try {
        await().until(() -> Mem.getLongAcquire(seatBlock + ACTIVITY_OFFSET) == ACTIVITY_ASLEEP);
        guest.driver.begin(BlkRequest.TYPE_FLUSH, 0);
        assertTrue(guest.driver.add());
        assertTrue(guest.driver.publish(), "a sleeping back-end wants a kick");
        assertTrue(new EventFd().signal(guest.kickFd));
        await().until(() -> guest.driver.poll() != DriverQueue.NONE);
        await()
            .until(
                () -> Mem.getLongAcquire(guest.counters + QueueCounter.KICKS.offsetBytes()) == 1);
      } finally {
        stop.set(true);
        thread.join(10_000);
      }
    }
  }

  @Test
  void shouldServeOthersWhenAKickDescriptorCannotBeWatched() {
    try (RingGuest hostile = new RingGuest();
        RingGuest good = new RingGuest();
        Reactor sleepy = new Reactor(seatBlock, 0, new UringReactorIo(), this)) {
      sleepy.start(sleepy.make(hostile.setup(1, disk, hostile.memfd)));
      sleepy.start(sleepy.make(good.setup(2, disk)));
      sleepy.idle(0, System.nanoTime());
      assertEquals(List.of(1L), failedSessions);
      assertTrue(reasons.get(0).contains("kick descriptor"), reasons.get(0));
      good.submitRead();
      assertTrue(sleepy.doWork(System.nanoTime()) > 0);
      assertTrue(good.driver.poll() != DriverQueue.NONE);
    }
  }

  /** A disk whose lock somebody else holds until it is opened. */
  private static final class FencedDisk implements Bdev {
    private final Bdev disk;
    private boolean open;

    FencedDisk(final Bdev disk) {
      this.disk = disk;
    }

    @Override
    public BdevDescription description() {
      return disk.description();
    }

    @Override
    public boolean needsFence() {
      return true;
    }

    @Override
    public boolean tryFence() {
      return open;
    }

    @Override
    public BlockChannel channel(final ReactorIo io) {
      return disk.channel(io);
    }

    @Override
    public void resize(final long blockCount) {}

    @Override
    public void close() {}
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

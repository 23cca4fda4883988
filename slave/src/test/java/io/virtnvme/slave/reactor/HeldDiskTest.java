package io.virtnvme.slave.reactor;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.virtnvme.ipc.memory.Mem;
import io.virtnvme.ipc.relay.BdevDescription;
import io.virtnvme.ipc.relay.BdevHold;
import io.virtnvme.ipc.relay.BdevHold.Who;
import io.virtnvme.ipc.segment.SeatSegment;
import io.virtnvme.slave.bdev.Bdev;
import io.virtnvme.slave.bdev.BlockChannel;
import io.virtnvme.slave.bdev.RateLimits;
import io.virtnvme.slave.bdev.ReactorIo;
import io.virtnvme.slave.bdev.UringReactorIo;
import java.util.ArrayDeque;
import java.util.Deque;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

/** A held disk on a reactor that is stepped by hand: what waits, and what is waited for. */
@Timeout(30)
class HeldDiskTest {
  private static final int DEPTH = 8;
  private static final int CYCLES = 100;
  private static final long HOUR_NS = 3_600_000_000_000L;

  private final long seatBlock = Mem.allocate(SeatSegment.REACTOR_LENGTH);
  private final Reactor reactor =
      new Reactor(seatBlock, 0, new UringReactorIo(), new SoundEvents());
  private final RingGuest guest = new RingGuest();
  private final SlowDisk disk = new SlowDisk();
  private boolean done;

  /** Keeps each request until the test ends it. */
  private static final class SlowDisk implements Bdev {
    private final BdevDescription description = RingGuest.nullDisk("slow").description();
    private final RateLimits limits = new RateLimits();
    private final Deque<Long> running = new ArrayDeque<>();
    private boolean fenced;

    @Override
    public BdevDescription description() {
      return description;
    }

    @Override
    public boolean needsFence() {
      return true;
    }

    @Override
    public boolean tryFence() {
      return !fenced;
    }

    @Override
    public BlockChannel channel(final ReactorIo io) {
      return new BlockChannel() {
        @Override
        public int submit(
            final int operation,
            final long iovecs,
            final int iovecCount,
            final long offsetBytes,
            final long lengthBytes,
            final int flags,
            final long tag) {
          running.add(tag);
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
      };
    }

    @Override
    public void resize(final long blockCount) {}

    @Override
    public RateLimits limits() {
      return limits;
    }

    @Override
    public void close() {}
  }

  @AfterEach
  void close() {
    reactor.close();
    guest.close();
    Mem.free(seatBlock);
  }

  private void start() {
    reactor.start(reactor.make(guest.setup(1, disk)));
    submit();
  }

  private void submit() {
    for (int i = 0; i < DEPTH; i++) {
      guest.submitRead();
    }
  }

  private void work() {
    for (int i = 0; i < CYCLES; i++) {
      reactor.doWork(System.nanoTime());
    }
  }

  private void hold(final Who who, final long ns) {
    disk.limits.hold(new BdevHold(who, System.nanoTime() + ns));
    done = false;
    reactor.awaitHeld(disk, who, () -> done = true);
  }

  private void endAll() {
    while (!disk.running.isEmpty()) {
      reactor.onIoEnd(disk.running.remove(), 0);
    }
  }

  @Test
  void shouldWaitForWhatRunsAndBeginNothing() {
    start();
    work();
    assertEquals(DEPTH, disk.running.size());
    hold(Who.WRITERS, HOUR_NS);
    submit();
    while (!disk.running.isEmpty()) {
      work();
      assertFalse(done);
      reactor.onIoEnd(disk.running.remove(), 0);
    }
    work();
    assertTrue(done);
    assertEquals(0, disk.running.size());
    disk.limits.hold(BdevHold.NONE);
    work();
    assertEquals(DEPTH, disk.running.size());
    endAll();
  }

  @Test
  void shouldBeToldAtOnceWhereNothingRuns() {
    reactor.start(reactor.make(guest.setup(1, disk)));
    hold(Who.GUESTS, HOUR_NS);
    submit();
    reactor.doWork(System.nanoTime());
    assertTrue(done);
    work();
    assertEquals(0, disk.running.size());
  }

  @Test
  void shouldGoOnByItselfAndSaySo() {
    start();
    work();
    hold(Who.WRITERS, 5_000_000);
    submit();
    while (!done) {
      reactor.doWork(System.nanoTime());
    }
    assertEquals(Who.NOBODY, disk.limits.held());
    work();
    assertEquals(2 * DEPTH, disk.running.size());
    endAll();
  }

  /** What a dead slave left runs again when the fence lets it, held or not: so it is waited for. */
  @Test
  void shouldWaitForARingThatIsNotRecoveredYet() {
    disk.fenced = true;
    reactor.start(reactor.make(guest.setup(1, disk)));
    hold(Who.WRITERS, HOUR_NS);
    work();
    assertFalse(done);
    disk.fenced = false;
    final long endNs = System.nanoTime() + 1_000_000_000L;
    while (!done && System.nanoTime() < endNs) {
      reactor.doWork(System.nanoTime());
    }
    assertTrue(done);
  }

  @Test
  void shouldNotWaitForAnotherDisk() {
    start();
    work();
    final SlowDisk other = new SlowDisk();
    other.limits.hold(new BdevHold(Who.WRITERS, BdevHold.UNLIMITED));
    reactor.awaitHeld(other, Who.WRITERS, () -> done = true);
    reactor.doWork(System.nanoTime());
    assertTrue(done);
    endAll();
  }
}

package io.virtnvme.slave.reactor;

import static org.junit.jupiter.api.Assertions.assertTrue;

import io.virtnvme.ipc.memory.Mem;
import io.virtnvme.ipc.relay.BdevLimits;
import io.virtnvme.ipc.segment.SeatSegment;
import io.virtnvme.ipc.virtio.DriverQueue;
import io.virtnvme.slave.bdev.Bdev;
import io.virtnvme.slave.bdev.UringReactorIo;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;

/** Disks with limits on one reactor, which is stepped by hand. */
class RateLimitedReactorTest {
  private static final int DEPTH = 8;
  private static final long SECOND_NS = 1_000_000_000L;
  private static final long START_NS = 1_000 * SECOND_NS;
  private static final long STEP_NS = 10_000;

  private final long seatBlock = Mem.allocate(SeatSegment.REACTOR_LENGTH);
  private final Reactor reactor =
      new Reactor(seatBlock, 0, new UringReactorIo(), new SoundEvents());
  private final RingGuest one = new RingGuest();
  private final RingGuest other = new RingGuest();

  @AfterEach
  void close() {
    reactor.close();
    one.close();
    other.close();
    Mem.free(seatBlock);
  }

  private Bdev disk(final String name, final BdevLimits limits) {
    final Bdev disk = RingGuest.nullDisk(name);
    disk.limits().set(limits);
    return disk;
  }

  private void start(final RingGuest guest, final long session, final Bdev disk) {
    reactor.start(reactor.make(guest.setup(session, disk)));
    for (int i = 0; i < DEPTH; i++) {
      guest.submitRead();
    }
  }

  /** Takes what ended, and submits as much again; how many. */
  private static int turn(final RingGuest guest) {
    int count = 0;
    for (int token = guest.driver.poll(); token != DriverQueue.NONE; token = guest.driver.poll()) {
      guest.driver.reclaim(token);
      guest.submitRead();
      count++;
    }
    return count;
  }

  @Test
  void shouldServeTwoDisksOfOneLimitAlike() {
    start(one, 1, disk("a", new BdevLimits(3000, 0, 0, 0)));
    start(other, 2, disk("b", new BdevLimits(3000, 0, 0, 0)));
    long first = 0;
    long second = 0;
    for (long nowNs = START_NS; nowNs < START_NS + SECOND_NS; nowNs += STEP_NS) {
      reactor.doWork(nowNs);
      first += turn(one);
      second += turn(other);
    }
    assertTrue(first > 2990 && first < 3050, "first=" + first);
    assertTrue(second > 2990 && second < 3050, "second=" + second);
  }

  @Test
  void shouldNotSlowDownADiskForAnotherOnesLimit() {
    start(one, 1, disk("a", new BdevLimits(100, 0, 0, 0)));
    start(other, 2, disk("b", BdevLimits.NONE));
    long limited = 0;
    long free = 0;
    final int cycles = 10_000;
    for (int i = 0; i < cycles; i++) {
      reactor.doWork(START_NS + i * STEP_NS);
      limited += turn(one);
      free += turn(other);
    }
    // The first polls of a ring move little.
    assertTrue(free >= (cycles - 1L) * DEPTH, "each cycle serves all that there is: " + free);
    assertTrue(limited >= 9 && limited <= 12, "limited=" + limited);
  }

  @Test
  void shouldSleepBetweenTheRequestsOfALimitedDisk() {
    start(one, 1, disk("a", new BdevLimits(200, 0, 0, 0)));
    final long beginNs = System.nanoTime();
    final int wanted = 60;
    int count = 0;
    int cycles = 0;
    while (count < wanted) {
      final long nowNs = System.nanoTime();
      reactor.idle(reactor.doWork(nowNs), nowNs);
      count += turn(one);
      cycles++;
    }
    final long elapsedNs = System.nanoTime() - beginNs;
    final double allowed = 200.0 * elapsedNs / SECOND_NS + 3 + DEPTH;
    assertTrue(count <= allowed, "count=" + count + " allowed=" + allowed);
    assertTrue(cycles < 20 * wanted, "it polled instead: cycles=" + cycles);
  }
}

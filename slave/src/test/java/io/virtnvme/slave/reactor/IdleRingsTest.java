package io.virtnvme.slave.reactor;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.sun.management.ThreadMXBean;
import io.virtnvme.ipc.memory.Mem;
import io.virtnvme.ipc.segment.SeatSegment;
import io.virtnvme.ipc.virtio.DriverQueue;
import io.virtnvme.slave.bdev.Bdev;
import io.virtnvme.slave.bdev.UringReactorIo;
import java.lang.management.ManagementFactory;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

/** Many rings on one reactor, by a clock that the test turns: few are busy. */
class IdleRingsTest {
  private static final int RINGS = 40;
  private static final long START_NS = 1_000_000_000_000L;
  private static final long STEP_NS = 1_000;

  /** Time in which a ring without work becomes idle for sure. */
  private static final long PAUSE_NS = 20_000_000L;

  private final long seatBlock = Mem.allocate(SeatSegment.REACTOR_LENGTH);
  private final Reactor reactor =
      new Reactor(seatBlock, Long.MAX_VALUE, new UringReactorIo(), new SoundEvents());
  private final List<RingGuest> guests = new ArrayList<>();
  private final Bdev disk = RingGuest.nullDisk("n");
  private long nowNs = START_NS;

  @BeforeEach
  void start() {
    for (int i = 0; i < RINGS; i++) {
      guests.add(new RingGuest());
      reactor.start(reactor.make(guests.get(i).setup(1 + i, disk)));
    }
  }

  @AfterEach
  void close() {
    reactor.close();
    guests.forEach(RingGuest::close);
    Mem.free(seatBlock);
  }

  private void step() {
    reactor.doWork(nowNs);
    nowNs += STEP_NS;
  }

  private static boolean reap(final RingGuest guest) {
    final int token = guest.driver.poll();
    if (token == DriverQueue.NONE) {
      return false;
    }
    guest.driver.reclaim(token);
    return true;
  }

  /** Submits a read, and how long it takes. */
  private long serve(final RingGuest guest) {
    final long beginNs = nowNs;
    guest.submitRead();
    do {
      step();
    } while (!reap(guest));
    return nowNs - beginNs;
  }

  /** One ring is busy, the others have nothing to do. */
  private void keepBusy(final RingGuest busy) {
    for (final long endNs = nowNs + PAUSE_NS; nowNs < endNs; ) {
      assertEquals(STEP_NS, serve(busy), "a busy ring is served in each duty cycle");
    }
  }

  @Test
  void shouldServeAnIdleRingWithinAHundredMicroseconds() {
    final RingGuest busy = guests.get(0);
    keepBusy(busy);
    long longestNs = 0;
    for (final RingGuest guest : guests.subList(1, RINGS)) {
      final long firstNs = serve(guest);
      longestNs = Math.max(longestNs, firstNs);
      assertTrue(firstNs <= PollOrder.TURN_NS + 2 * STEP_NS, "ns=" + firstNs);
      assertEquals(STEP_NS, serve(guest), "from then on in each duty cycle");
    }
    assertTrue(longestNs > STEP_NS, "none of them was idle: the test tests nothing");
    keepBusy(busy);
    assertTrue(serve(guests.get(1)) <= PollOrder.TURN_NS + 2 * STEP_NS);
  }

  @Test
  void shouldServeManyThatWakeUpTogether() {
    keepBusy(guests.get(0));
    final List<RingGuest> woken = new ArrayList<>(guests.subList(1, RINGS));
    woken.forEach(RingGuest::submitRead);
    final long beginNs = nowNs;
    while (!woken.isEmpty()) {
      step();
      woken.removeIf(IdleRingsTest::reap);
      assertTrue(nowNs - beginNs <= PollOrder.TURN_NS + 3 * STEP_NS, "left=" + woken.size());
    }
  }

  @Test
  void shouldServeIdleRingsWhenOthersStartAndEnd() {
    keepBusy(guests.get(0));
    reactor.stop(5, 0, base -> {});
    step();
    step();
    assertFalse(reactor.has(5, 0));
    try (RingGuest added = new RingGuest()) {
      reactor.start(reactor.make(added.setup(100, disk)));
      assertTrue(serve(added) <= 2 * STEP_NS);
      assertTrue(serve(guests.get(RINGS - 1)) <= PollOrder.TURN_NS + 2 * STEP_NS);
      keepBusy(guests.get(0));
      assertTrue(serve(guests.get(RINGS - 1)) <= PollOrder.TURN_NS + 2 * STEP_NS);
      reactor.stop(100, 0, base -> {});
      step();
    }
  }

  @Test
  void shouldStopAnIdleRing() {
    keepBusy(guests.get(0));
    final List<Integer> bases = new ArrayList<>();
    reactor.stop(RINGS, 0, bases::add);
    step();
    assertEquals(List.of(0), bases);
  }

  @Test
  void shouldAllocateNothing() {
    final ThreadMXBean threads = (ThreadMXBean) ManagementFactory.getThreadMXBean();
    long least = Long.MAX_VALUE;
    for (int window = 0; window < 5; window++) {
      final long before = threads.getCurrentThreadAllocatedBytes();
      for (int i = 0; i < 30_000; i++) {
        if (i % 1000 == 0) {
          guests.get(1 + i / 1000 % (RINGS - 1)).submitRead();
        }
        step();
        for (int guest = 0; guest < RINGS; guest++) {
          reap(guests.get(guest));
        }
      }
      least = Math.min(least, threads.getCurrentThreadAllocatedBytes() - before);
    }
    assertEquals(0, least);
  }
}

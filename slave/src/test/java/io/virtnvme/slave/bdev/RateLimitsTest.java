package io.virtnvme.slave.bdev;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.virtnvme.ipc.relay.BdevHold;
import io.virtnvme.ipc.relay.BdevLimits;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** Limits by a clock that the test turns. */
class RateLimitsTest {
  private static final long START_NS = 1_000_000_000_000L;
  private static final long SECOND_NS = 1_000_000_000L;
  private static final long STEP_NS = 7_001;
  private static final int BLOCK = 4096;
  private static final int READ = BlockChannel.OP_READ;
  private static final int WRITE = BlockChannel.OP_WRITE;

  private final RateLimits limits = new RateLimits();
  private long nowNs = START_NS;

  /** What a ring that always has requests gets through in a duty cycle. */
  private int takeAll(final RateGate.Place place, final int operation, final long bytes) {
    int count = 0;
    boolean more = place.admits(nowNs);
    while (more) {
      place.charge(operation, bytes, nowNs);
      count++;
      more = place.goesOn(nowNs);
    }
    return count;
  }

  private long countFor(
      final RateGate.Place place, final int operation, final long bytes, final long durationNs) {
    final long endNs = nowNs + durationNs;
    long count = 0;
    while (nowNs < endNs) {
      count += takeAll(place, operation, bytes);
      nowNs += STEP_NS;
    }
    return count;
  }

  @Test
  void shouldLetNobodyThroughWhileADiskIsHeldAndThenEverybody() {
    final RateGate.Place place = limits.gate(this).place();
    for (final boolean limited : new boolean[] {false, true}) {
      limits.set(new BdevLimits(limited ? 50_000 : 0, 0, 0, 0));
      limits.hold(new BdevHold(BdevHold.Who.WRITERS, nowNs + SECOND_NS));
      assertTrue(place.isLimited());
      assertEquals(0, countFor(place, WRITE, BLOCK, SECOND_NS - STEP_NS));
      assertEquals(limits.dueNs(), place.dueNs());
      nowNs += STEP_NS;
      assertTrue(place.admits(nowNs), "the end comes by itself");
      limits.hold(new BdevHold(BdevHold.Who.WRITERS, BdevHold.UNLIMITED));
      assertEquals(0, countFor(place, READ, BLOCK, 100 * SECOND_NS));
      assertEquals(Long.MAX_VALUE, place.dueNs());
      limits.set(new BdevLimits(limited ? 50_000 : 0, 0, 0, 0));
      assertFalse(place.admits(nowNs), "limits do not end a hold");
      limits.hold(BdevHold.NONE);
      assertEquals(limited, place.isLimited());
      nowNs += STEP_NS;
      assertTrue(place.admits(nowNs));
    }
  }

  @Test
  void shouldHoldOnlyThoseWhoAreMeant() {
    final RateGate.Place place = limits.gate(this).place();
    assertFalse(place.passesHold(true));
    limits.hold(new BdevHold(BdevHold.Who.GUESTS, BdevHold.UNLIMITED));
    assertTrue(place.passesHold(true) && place.passesHold(false));
    assertEquals(BdevHold.Who.GUESTS, limits.held());
    limits.hold(new BdevHold(BdevHold.Who.WRITERS, System.nanoTime() + 3600 * SECOND_NS));
    assertTrue(place.passesHold(true) && !place.passesHold(false));
    assertEquals(BdevHold.Who.WRITERS, limits.held());
    limits.hold(new BdevHold(BdevHold.Who.WRITERS, System.nanoTime() - 1));
    assertEquals(BdevHold.Who.NOBODY, limits.held());
    limits.hold(BdevHold.NONE);
    assertFalse(place.passesHold(true));
    assertEquals(BdevHold.Who.NOBODY, limits.held());
    assertThrows(IllegalStateException.class, () -> RateLimits.OFF.hold(BdevHold.NONE));
  }

  @ParameterizedTest
  @CsvSource({
    "50000, 0, 0, 0, 0, 50000",
    "50000, 0, 0, 0, 1, 50000",
    "0, 100, 0, 0, 0, 25600",
    "0, 100, 0, 0, 1, 25600",
    "0, 0, 40, 0, 0, 10240",
    "0, 0, 0, 40, 1, 10240",
    "9000, 100, 40, 40, 0, 9000",
    "50000, 100, 40, 80, 0, 10240",
    "50000, 0, 0, 0, 4, 50000",
    "3, 0, 0, 0, 0, 3",
  })
  void shouldLetThroughAsManyRequestsAsTheTightestLimitAllows(
      final long rwIos,
      final long rwMib,
      final long readMib,
      final long writeMib,
      final int operation,
      final long expectedPerSecond) {
    limits.set(new BdevLimits(rwIos, rwMib, readMib, writeMib));
    final long count = countFor(limits.gate(this).place(), operation, BLOCK, 10 * SECOND_NS);
    final double ratio = count / (10.0 * expectedPerSecond);
    assertTrue(ratio > 0.999 && ratio < 1.04, "count=" + count + " ratio=" + ratio);
  }

  @ParameterizedTest
  @CsvSource({
    "0, 0, 40, 0, 1",
    "0, 0, 0, 40, 0",
    "50000, 100, 40, 80, 2",
    "0, 100, 0, 0, 3",
  })
  void shouldNotLimitWhatALimitIsNotAbout(
      final long rwIos,
      final long rwMib,
      final long readMib,
      final long writeMib,
      final int operation) {
    limits.set(new BdevLimits(rwIos, rwMib, readMib, writeMib));
    final RateGate.Place place = limits.gate(this).place();
    for (int i = 0; i < 100_000; i++) {
      assertTrue(place.admits(nowNs));
      place.charge(operation, BLOCK, nowNs);
    }
  }

  @Test
  void shouldCatchUpOnTenMillisecondsAtMost() {
    limits.set(new BdevLimits(10_000, 0, 0, 0));
    final RateGate.Place place = limits.gate(this).place();
    assertEquals(101, takeAll(place, READ, BLOCK));
    nowNs += 5 * SECOND_NS;
    assertEquals(101, takeAll(place, READ, BLOCK));
  }

  @Test
  void shouldLetALargeRequestBeginAndThoseBehindItWait() {
    limits.set(new BdevLimits(0, 1, 0, 0));
    final RateGate.Place place = limits.gate(this).place();
    assertEquals(1, takeAll(place, WRITE, 4 << 20));
    nowNs += 4 * SECOND_NS - 2 * RateLimits.BURST_NS;
    assertEquals(0, takeAll(place, WRITE, BLOCK));
    assertEquals(START_NS + 4 * SECOND_NS - RateLimits.BURST_NS, place.dueNs());
    nowNs = place.dueNs();
    assertTrue(place.admits(nowNs));
  }

  @Test
  void shouldShareALimitBetweenReactors() {
    limits.set(new BdevLimits(30_000, 0, 0, 0));
    final RateGate.Place one = limits.gate("one").place();
    final RateGate.Place other = limits.gate("other").place();
    long count = 0;
    for (int i = 0; i < 500_000; i++) {
      count += takeAll(one, READ, BLOCK) + takeAll(other, WRITE, BLOCK);
      nowNs += STEP_NS;
    }
    final double ratio = count / (30_000.0 * 500_000 * STEP_NS / SECOND_NS);
    assertTrue(ratio > 0.99 && ratio < 1.02, "ratio=" + ratio);
  }

  @Test
  void shouldGiveAReactorOneGate() {
    assertEquals(limits.gate(this), limits.gate(this));
  }

  @Test
  void shouldForgiveWhatWasUsedWhenLimitsAreSet() {
    limits.set(new BdevLimits(1, 0, 0, 0));
    final RateGate.Place place = limits.gate(this).place();
    takeAll(place, READ, BLOCK);
    assertFalse(place.admits(nowNs));
    limits.set(new BdevLimits(2, 0, 0, 0));
    assertTrue(place.admits(nowNs));
    limits.set(BdevLimits.NONE);
    assertFalse(place.isLimited());
  }

  @ParameterizedTest
  @CsvSource({"100, 7001", "20000, 7001", "20000, 1000000", "3000000, 100000"})
  void shouldGiveEachRingOfAReactorTheSame(final long ios, final long stepNs) {
    limits.set(new BdevLimits(ios, 0, 0, 0));
    final RateGate gate = limits.gate(this);
    final RateGate.Place[] places = {gate.place(), gate.place(), gate.place()};
    final long[] counts = new long[places.length];
    for (long total = 0; total < 3000; nowNs += stepNs) {
      for (int i = 0; i < places.length; i++) {
        final int count = takeSome(places[i], 32);
        counts[i] += count;
        total += count;
      }
    }
    for (final long count : counts) {
      assertTrue(Math.abs(count - counts[0]) <= 0.1 * counts[0], java.util.Arrays.toString(counts));
    }
  }

  private int takeSome(final RateGate.Place place, final int limit) {
    int count = 0;
    boolean more = place.admits(nowNs);
    while (more && count < limit) {
      place.charge(READ, BLOCK, nowNs);
      count++;
      more = place.goesOn(nowNs);
    }
    return count;
  }

  @Test
  void shouldNotWaitForARingThatHasLeft() {
    limits.set(new BdevLimits(1000, 0, 0, 0));
    final RateGate gate = limits.gate(this);
    final RateGate.Place gone = gate.place();
    final RateGate.Place living = gate.place();
    takeAll(gone, READ, BLOCK);
    assertFalse(gone.admits(nowNs));
    final long count = countFor(living, READ, BLOCK, SECOND_NS);
    assertTrue(count > 990 && count < 1020, "count=" + count);
  }

  @Test
  void shouldRefuseLimitsForADiskWithoutThem() {
    assertThrows(IllegalStateException.class, () -> RateLimits.OFF.set(BdevLimits.NONE));
    assertFalse(RateLimits.OFF.gate(this).place().isLimited());
  }
}

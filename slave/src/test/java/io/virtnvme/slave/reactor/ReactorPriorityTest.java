package io.virtnvme.slave.reactor;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.concurrent.atomic.AtomicInteger;
import org.junit.jupiter.api.Test;

/** A reactor on simulated time: cycles of 10 us that work or sleep. */
class ReactorPriorityTest {
  private static final long CYCLE_NS = 10_000;
  private static final long SECOND_NS = 1_000_000_000L;

  private final class FakeScheduler implements ReactorPriority.Scheduler {
    boolean permitted = true;
    boolean realTime;
    int askedCount;
    long pausedNs;

    @Override
    public int threadId() {
      return 77;
    }

    @Override
    public boolean raise(final int fifoPriority) {
      askedCount++;
      realTime = permitted;
      return permitted;
    }

    @Override
    public void drop(final int threadId) {
      assertEquals(77, threadId);
      realTime = false;
    }

    @Override
    public void pause(final long ns) {
      pausedNs += ns;
      nowNs += ns;
    }
  }

  private final FakeScheduler scheduler = new FakeScheduler();
  private final ReactorPriority priority = new ReactorPriority(scheduler);
  private long nowNs = 5 * SECOND_NS;
  private long sleptNs;
  private long cycles = 1;
  private long cpuNs;
  private final PriorityGuard guard = new PriorityGuard(0, 0, () -> cycles, () -> cpuNs, priority);

  private void takeOver() {
    priority.raise();
    priority.onTakeover(nowNs);
  }

  /** Of ten cycles, so many are slept. */
  private void run(final long durationNs, final int sleepsOfTen, final boolean needsKernel) {
    final long endNs = nowNs + durationNs;
    for (int i = 0; nowNs < endNs; i++) {
      priority.onCycle(nowNs, sleptNs, needsKernel);
      nowNs += CYCLE_NS;
      if (i % 10 < sleepsOfTen) {
        sleptNs += CYCLE_NS;
      }
    }
  }

  @Test
  void shouldBeRealTimeAsLongAsItSleepsOften() {
    takeOver();
    run(3 * SECOND_NS, 3, false);
    assertTrue(scheduler.realTime);
    assertEquals(1, scheduler.askedCount);
    assertEquals(0, scheduler.pausedNs);
  }

  @Test
  void shouldPauseWhileATakeoverSettlesAndBeNormalAfterwardsWhenItIsBusy() {
    takeOver();
    run(SECOND_NS - CYCLE_NS, 0, false);
    assertTrue(scheduler.realTime);
    assertTrue(scheduler.pausedNs > SECOND_NS / 4, "paused for " + scheduler.pausedNs);
    assertTrue(scheduler.pausedNs < SECOND_NS / 2, "paused for " + scheduler.pausedNs);
    final long pausedNs = scheduler.pausedNs;
    run(SECOND_NS, 0, false);
    assertFalse(scheduler.realTime);
    assertEquals(pausedNs, scheduler.pausedNs);
  }

  @Test
  void shouldBecomeRealTimeAgainWhenItHasTimeToSleep() {
    takeOver();
    run(2 * SECOND_NS, 0, false);
    run(SECOND_NS, 1, false);
    assertFalse(scheduler.realTime, "a tenth is not enough");
    run(SECOND_NS, 4, false);
    assertTrue(scheduler.realTime);
  }

  @Test
  void shouldLeaveItsCoreToDevicesThatNeedTheKernel() {
    takeOver();
    run(CYCLE_NS, 0, true);
    assertFalse(scheduler.realTime);
    run(2 * SECOND_NS, 5, true);
    assertFalse(scheduler.realTime);
    run(SECOND_NS, 5, false);
    assertTrue(scheduler.realTime);
  }

  @Test
  void shouldNotAskAgainWhenItIsNotPermitted() {
    scheduler.permitted = false;
    takeOver();
    run(2 * SECOND_NS, 5, false);
    assertEquals(1, scheduler.askedCount);
    assertEquals(0, scheduler.pausedNs);
  }

  @Test
  void shouldNeverBeRealTimeWithoutHavingAsked() {
    priority.onTakeover(nowNs);
    run(2 * SECOND_NS, 5, false);
    assertEquals(0, scheduler.askedCount);
  }

  @Test
  void shouldBeDemotedWhenItDoesNotComeRoundAndGetItBackWhenItDoes() {
    takeOver();
    cpuNs += 1_000_000;
    assertTrue(guard.look());
    cycles++;
    cpuNs += 1_000_000;
    assertTrue(guard.look());
    assertTrue(scheduler.realTime);
    cpuNs += 1_000_000;
    guard.look();
    assertFalse(scheduler.realTime);
    assertFalse(guard.look(), "normal: nothing to guard");
    run(10_000_000, 0, false);
    assertTrue(scheduler.realTime);
  }

  @Test
  void shouldLookAtNothingOnceTheGuardHasEnded() throws InterruptedException {
    final AtomicInteger looks = new AtomicInteger();
    final PriorityGuard started =
        new PriorityGuard(0, 0, () -> cycles, looks::incrementAndGet, priority);
    takeOver();
    started.start();
    started.guard();
    started.end();
    final int before = looks.get();
    assertFalse(started.isAlive());
    assertEquals(before, looks.get());
    guard.end();
  }

  @Test
  void shouldNotBeDemotedWhileItSleeps() {
    takeOver();
    cpuNs += 1_000_000;
    assertTrue(guard.look());
    assertFalse(guard.look(), "it sleeps: look less often");
    assertFalse(guard.look());
    assertTrue(scheduler.realTime);
  }
}

package io.virtnvme.slave.virtqueue;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.virtnvme.ipc.relay.BdevLimits;
import io.virtnvme.ipc.virtio.BlkRequest;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

/** A ring of a disk with limits, by a clock that the test turns. */
class RateLimitTest {
  private static final int QUEUE_SIZE = 64;
  private static final int DEPTH = 16;
  private static final long START_NS = 1_000_000_000_000L;
  private static final long STEP_NS = 10_000;
  private static final long SECOND_NS = 1_000_000_000L;

  private long nowNs = START_NS;
  private int inFlightMax;

  private static void add(final Rig rig, final int length) {
    rig.driver.begin(BlkRequest.TYPE_IN, 0);
    rig.driver.data(rig.guestData, length, true);
    assertTrue(rig.driver.add());
  }

  /** Keeps {@link #DEPTH} reads in the ring for so long; how many the guest saw completed. */
  private long completed(final Rig rig, final int length, final long durationNs) {
    long count = 0;
    for (int i = 0; i < DEPTH; i++) {
      add(rig, length);
    }
    rig.driver.publish();
    for (final long endNs = nowNs + durationNs; nowNs < endNs; nowNs += STEP_NS) {
      rig.agent.nowNs(nowNs);
      rig.agent.poll(32);
      inFlightMax = Math.max(inFlightMax, rig.agent.inFlightCount());
      rig.agent.flush();
      final int ended = rig.reapAll();
      for (int i = 0; i < ended; i++) {
        add(rig, length);
      }
      rig.driver.publish();
      count += ended;
    }
    return count;
  }

  @ParameterizedTest
  @EnumSource(Layout.class)
  void shouldServeWhatTheLimitAllowsAndLeaveTheRestWithTheGuest(final Layout layout) {
    try (Rig rig = layout.started(QUEUE_SIZE, new TestDisk(1 << 20, 512))) {
      rig.disk.limits().set(new BdevLimits(2000, 0, 0, 0));
      double ratio = completed(rig, 512, 3 * SECOND_NS) / 6000.0;
      assertTrue(ratio > 0.99 && ratio < 1.02, "requests, ratio=" + ratio);
      assertEquals(0, rig.agent.inFlightCount(), "what waits is not fetched");
      assertTrue(inFlightMax <= DEPTH);
      rig.disk.limits().set(BdevLimits.NONE);
      rig.agent.poll(32);
      rig.agent.flush();
      assertEquals(DEPTH, rig.reapAll());
      rig.disk.limits().set(new BdevLimits(0, 0, 8, 0));
      ratio = completed(rig, 65536, 3 * SECOND_NS) / (3 * 8 * 16.0);
      assertTrue(ratio > 0.99 && ratio < 1.02, "bytes, ratio=" + ratio);
    }
  }

  @ParameterizedTest
  @EnumSource(Layout.class)
  void shouldSleepUntilTheNextRequestIsDue(final Layout layout) {
    try (Rig rig = layout.started(QUEUE_SIZE, new TestDisk(1 << 20, 512))) {
      rig.disk.limits().set(new BdevLimits(10, 0, 0, 0));
      assertEquals(Long.MAX_VALUE, rig.agent.pollDueNs());
      for (int i = 0; i < DEPTH; i++) {
        add(rig, 512);
      }
      rig.driver.publish();
      rig.agent.nowNs(nowNs);
      assertEquals(1, rig.agent.poll(32));
      rig.agent.flush();
      assertFalse(rig.agent.armKicks(), "nothing to poll for");
      final long dueNs = START_NS + SECOND_NS / 10 - 10_000_000;
      assertEquals(dueNs, rig.agent.pollDueNs());
      rig.agent.nowNs(dueNs - 1);
      assertEquals(0, rig.agent.poll(32));
      rig.agent.nowNs(dueNs);
      assertTrue(rig.agent.armKicks(), "a request may be taken");
      assertEquals(1, rig.agent.poll(32));
      rig.disk.limits().set(BdevLimits.NONE);
      assertEquals(DEPTH - 2, rig.agent.poll(32));
      assertEquals(Long.MAX_VALUE, rig.agent.pollDueNs());
    }
  }

  @ParameterizedTest
  @EnumSource(Layout.class)
  void shouldLoseNothingThatWaitsWhenTheProcessDies(final Layout layout) {
    try (Rig rig = layout.started(QUEUE_SIZE, new TestDisk(1 << 20, 512))) {
      rig.disk.limits().set(new BdevLimits(1, 0, 0, 0));
      for (int i = 0; i < DEPTH; i++) {
        add(rig, 512);
      }
      rig.driver.publish();
      rig.agent.nowNs(nowNs);
      rig.agent.poll(32);
      rig.agent.flush();
      assertEquals(1, rig.reapAll());
      rig.dropAgent();
      rig.disk.limits().set(BdevLimits.NONE);
      assertEquals(0, rig.startAgent());
      rig.agent.poll(32);
      rig.agent.flush();
      assertEquals(DEPTH - 1, rig.reapAll());
    }
  }

  @ParameterizedTest
  @EnumSource(Layout.class)
  void shouldStopARingThatIsHeldBack(final Layout layout) {
    try (Rig rig = layout.started(QUEUE_SIZE, new TestDisk(1 << 20, 512))) {
      rig.disk.limits().set(new BdevLimits(1, 0, 0, 0));
      add(rig, 512);
      add(rig, 512);
      rig.driver.publish();
      rig.agent.nowNs(nowNs);
      rig.agent.poll(32);
      rig.agent.poll(0);
      rig.agent.flush();
      assertEquals(0, rig.agent.inFlightCount());
    }
  }
}

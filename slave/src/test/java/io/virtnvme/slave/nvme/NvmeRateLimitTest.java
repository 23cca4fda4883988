package io.virtnvme.slave.nvme;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.virtnvme.ipc.relay.BdevLimits;
import java.util.List;
import org.junit.jupiter.api.Test;

/** Queues of a controller whose disks have limits, by a clock that the test turns. */
class NvmeRateLimitTest {
  private static final int SIZE = 64;
  private static final int DEPTH = 16;
  private static final long START_NS = 1_000_000_000_000L;
  private static final long STEP_NS = 10_000;
  private static final long SECOND_NS = 1_000_000_000L;
  private static final int READ = 2;

  private long nowNs = START_NS;
  private int nextId;

  private void add(final NvmeRig rig, final int queue, final int namespaceId) {
    rig.queues[queue].add(
        new TestCommand(READ, nextId++ & 0x7FFF, namespaceId).prps(rig.guestData, 0).blocks(0, 8));
    rig.queues[queue].ring();
  }

  /**
   * Completions by queue id after so long, with {@link #DEPTH} reads in each queue all the time.
   */
  private int[] completed(final NvmeRig rig, final long durationNs) {
    final int[] counts = new int[rig.queues.length + 1];
    for (int i = 0; i < DEPTH; i++) {
      for (int queue = 0; queue < rig.queues.length; queue++) {
        add(rig, queue, 1);
      }
    }
    for (final long endNs = nowNs + durationNs; nowNs < endNs; nowNs += STEP_NS) {
      for (final NvmeRig.Completion each : cycle(rig)) {
        assertEquals(0, each.status());
        counts[each.queueId()]++;
        add(rig, each.queueId() - 1, 1);
      }
    }
    return counts;
  }

  private List<NvmeRig.Completion> cycle(final NvmeRig rig) {
    rig.agent.poll(nowNs, 32);
    rig.agent.flush();
    return rig.pollAll();
  }

  @Test
  void shouldServeWhatTheLimitAllowsAndLeaveTheRestWithTheGuest() {
    try (NvmeRig rig = NvmeRig.started(SIZE)) {
      rig.disk.limits().set(new BdevLimits(2000, 0, 0, 0));
      final double ratio = completed(rig, 3 * SECOND_NS)[1] / 6000.0;
      assertTrue(ratio > 0.99 && ratio < 1.02, "requests, ratio=" + ratio);
      assertEquals(0, rig.agent.inFlightCount(), "what waits is not fetched");
      rig.disk.limits().set(BdevLimits.NONE);
      assertEquals(DEPTH, cycle(rig).size());
      nowNs += SECOND_NS;
      rig.disk.limits().set(new BdevLimits(0, 0, 8, 0));
      final double bytesRatio = completed(rig, 3 * SECOND_NS)[1] / (3 * 2048.0);
      assertTrue(bytesRatio > 0.99 && bytesRatio < 1.02, "bytes, ratio=" + bytesRatio);
    }
  }

  @Test
  void shouldShareALimitBetweenTheQueuesOfACompletionQueue() {
    try (NvmeRig rig = new NvmeRig(new NvmeTestDisk(1 << 20, NvmeRig.BLOCK), 1, SIZE, SIZE, SIZE)) {
      rig.startAgent();
      rig.disk.limits().set(new BdevLimits(4000, 0, 0, 0));
      final int[] counts = completed(rig, 2 * SECOND_NS);
      final double ratio = (counts[1] + counts[2]) / 8000.0;
      assertTrue(ratio > 0.99 && ratio < 1.02, "ratio=" + ratio);
      assertTrue(
          Math.abs(counts[1] - counts[2]) < 400, "queues=" + counts[1] + " and " + counts[2]);
    }
  }

  @Test
  void shouldLimitOneNamespaceAndNotTheOther() {
    final NvmeTestDisk free = new NvmeTestDisk(1 << 20, NvmeRig.BLOCK);
    try (NvmeRig rig = new NvmeRig(new NvmeTestDisk(1 << 20, NvmeRig.BLOCK), 1, SIZE, SIZE, SIZE)) {
      rig.startAgent();
      rig.agent.volumes(List.of(NvmeRig.volume(1, rig.disk), NvmeRig.volume(2, free)));
      rig.disk.limits().set(new BdevLimits(1, 0, 0, 0));
      for (int i = 0; i < DEPTH; i++) {
        add(rig, 0, 1);
        add(rig, 1, 2);
      }
      int limited = 0;
      int unlimited = 0;
      for (int i = 0; i < 10; i++) {
        for (final NvmeRig.Completion each : cycle(rig)) {
          limited += each.queueId() == 1 ? 1 : 0;
          unlimited += each.queueId() == 2 ? 1 : 0;
        }
      }
      assertEquals(DEPTH, unlimited);
      assertEquals(1, limited);
      assertFalse(rig.agent.armKicks(), "nothing to poll for");
      final long dueNs = START_NS + SECOND_NS - 10_000_000;
      assertEquals(dueNs, rig.agent.pollDueNs());
      nowNs = dueNs;
      assertEquals(1, cycle(rig).size());
    } finally {
      free.close();
    }
  }

  @Test
  void shouldNotLetAGuestPassByChangingACommandThatWasAdmitted() {
    final NvmeTestDisk limited = new NvmeTestDisk(1 << 20, NvmeRig.BLOCK);
    final NvmeTestDisk free = new NvmeTestDisk(1 << 20, NvmeRig.BLOCK);
    try {
      limited.limits().set(new BdevLimits(100, 0, 0, 0));
      final CommandRates rates = new CommandRates();
      rates.namespaces(
          new NamespaceChannels(
              List.of(NvmeRig.volume(1, limited), NvmeRig.volume(2, free)), 2, null));
      final NvmeCommandTask task = new NvmeCommandTask(null, 0);
      task.namespaceId = 1;
      assertTrue(rates.find());
      int count = 0;
      for (; nowNs < START_NS + SECOND_NS; nowNs += STEP_NS) {
        if (rates.isAdmitted(2, nowNs)) {
          rates.charge(task, nowNs);
          count++;
        }
      }
      assertTrue(count <= 102, "count=" + count);
    } finally {
      limited.close();
      free.close();
    }
  }
}

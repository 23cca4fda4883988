package io.virtnvme.tools.bench;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.sun.management.ThreadMXBean;
import io.virtnvme.ipc.memory.Mem;
import io.virtnvme.ipc.virtio.BlkRequest;
import io.virtnvme.ipc.virtio.DriverQueue;
import io.virtnvme.ipc.virtio.SplitDriverQueue;
import io.virtnvme.ipc.virtio.UsedRing;
import io.virtnvme.tools.pair.FrontEnd;
import java.lang.management.ManagementFactory;
import java.util.List;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

@Timeout(value = 2, unit = TimeUnit.MINUTES)
class LoadLoopTest {
  private static final int QUEUE_SIZE = 128;
  private static final int ALIGNMENT = 4096;
  private static final long RUN_NS = 50_000_000;

  private final long ringBytes = SplitDriverQueue.length(QUEUE_SIZE, 1);
  private final long memory = Mem.allocate(ringBytes + ALIGNMENT);
  private final long rings = (memory + ALIGNMENT - 1) & -ALIGNMENT;
  private final DriverQueue queue = new SplitDriverQueue(rings, rings, QUEUE_SIZE, 0, 1);

  @AfterEach
  void free() {
    Mem.free(memory);
  }

  private LoadLoop loop(final int queueDepth, final LoadLoop.StallCheck stallCheck) {
    return loop(queueDepth, 0, stallCheck);
  }

  private LoadLoop loop(
      final int queueDepth, final int ratePerSecond, final LoadLoop.StallCheck stallCheck) {
    // Nobody touches the data, so any address will do for it.
    return new LoadLoop(
        queue, () -> {}, stallCheck, Work.MIXED, queueDepth, ratePerSecond, 0x10000, 1000, 7);
  }

  @ParameterizedTest
  @CsvSource({"false,true", "false,false", "true,true", "true,false"})
  void shouldReachALimitAgainstAPeerThatDoesNothing(final boolean packed, final boolean indirect) {
    final RunResult result =
        new ClientRun(
                new RunOrder(
                    FrontEnd.BLK,
                    null,
                    null,
                    Work.MIXED,
                    32,
                    0,
                    20,
                    50,
                    packed,
                    indirect,
                    true,
                    1 << 20,
                    -1,
                    -1,
                    List.of()))
            .execute();

    assertNull(result.error());
    assertTrue(result.iops() > 0);
    assertTrue(result.p50Us() > 0);
  }

  @Test
  void shouldSendNoMoreThanIsDue() {
    final IdlePeer peer = IdlePeer.start(queue, false, -1);
    try {
      final LoadLoop loop = loop(8, 10_000, (stalledNs, inFlightCount) -> {});
      final long startNs = System.nanoTime();
      loop.start();
      final long endNs = loop.run(startNs + RUN_NS);
      final long count = loop.latencies().getTotalCount() + queue.inFlightCount();

      // One per 100 us. What is due when the loop ends has been sent, unless eight were in flight.
      assertTrue(count <= (endNs - startNs) / 100_000 + 1, () -> "count=" + count);
      assertTrue(count >= (RUN_NS / 100_000) - 1 || queue.inFlightCount() == 8, "count=" + count);
      loop.drain();
      loop.checkSound();
    } finally {
      peer.close();
    }
  }

  @Test
  void shouldCountALatencyFromTheMomentWhenARequestWasDue() {
    final LoadLoop loop = loop(1, 1_000_000, (stalledNs, inFlightCount) -> {});
    loop.start();
    // Nobody answers: one is in flight, the others are due and wait.
    loop.run(System.nanoTime() + RUN_NS);
    assertEquals(1, queue.inFlightCount());
    complete(0, 0, BlkRequest.STATUS_OK);
    loop.run(System.nanoTime());

    assertEquals(1, loop.latencies().getTotalCount());
    assertTrue(loop.latencies().getMinValue() >= RUN_NS, () -> "" + loop.latencies().getMinValue());
    // The second one was due 1 us after the start, and was sent only now.
    complete(1, 0, BlkRequest.STATUS_OK);
    loop.run(System.nanoTime());
    assertEquals(1, loop.latencies().getTotalCount());
    assertTrue(loop.latencies().getMinValue() >= RUN_NS, () -> "" + loop.latencies().getMinValue());
  }

  @Test
  void shouldAllocateNothingWhileItRuns() {
    final ThreadMXBean threads = (ThreadMXBean) ManagementFactory.getThreadMXBean();
    final IdlePeer peer = IdlePeer.start(queue, false, -1);
    try {
      final LoadLoop loop = loop(8, (stalledNs, inFlightCount) -> {});
      loop.start();
      loop.run(System.nanoTime() + RUN_NS);
      long allocated = Long.MAX_VALUE;
      // The first readings may still load classes.
      for (int i = 0; i < 5 && allocated != 0; i++) {
        final long before = threads.getCurrentThreadAllocatedBytes();
        loop.run(System.nanoTime() + RUN_NS);
        allocated = threads.getCurrentThreadAllocatedBytes() - before;
        assertTrue(loop.latencies().getTotalCount() > 0);
      }
      assertEquals(0, allocated);
      loop.drain();
      loop.checkSound();
    } finally {
      peer.close();
    }
  }

  @Test
  void shouldGiveUpOnAPeerThatDoesNotAnswer() {
    final LoadLoop loop =
        loop(
            4,
            (stalledNs, inFlightCount) -> {
              assertEquals(4, inFlightCount);
              if (stalledNs > RUN_NS) {
                throw new BenchException("stalled");
              }
            });
    loop.start();

    assertThrows(BenchException.class, () -> loop.run(Long.MAX_VALUE / 2));
  }

  @Test
  void shouldCountAFailedRequest() {
    final LoadLoop loop = loop(1, (stalledNs, inFlightCount) -> {});
    loop.start();
    complete(0, 0, BlkRequest.STATUS_IOERR);
    loop.drain();

    final BenchException failure = assertThrows(BenchException.class, loop::checkSound);
    assertTrue(failure.getMessage().contains("status 1"), failure.getMessage());
  }

  @Test
  void shouldNoticeACompletionOfNoRequest() {
    final LoadLoop loop = loop(1, (stalledNs, inFlightCount) -> {});
    loop.start();
    complete(0, QUEUE_SIZE - 1, BlkRequest.STATUS_OK);
    loop.run(System.nanoTime());

    assertThrows(BenchException.class, loop::checkSound);
  }

  /** As a device: the used element of that index for a head, and the status of head 0. */
  private void complete(final int index, final int head, final int status) {
    final long used = queue.deviceAreaGuestAddress();
    final long statusDescriptor = queue.descriptorGuestAddress() + 2 * 16L;
    Mem.putByte(Mem.getLong(statusDescriptor), (byte) status);
    Mem.putLong(used + UsedRing.RING_OFFSET + 8L * index, UsedRing.element(head, 1));
    Mem.putShortRelease(used + UsedRing.INDEX_OFFSET, (short) (index + 1));
  }
}

package io.virtnvme.slave.virtqueue;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;

import io.virtnvme.ipc.memory.Mem;
import io.virtnvme.ipc.segment.SessionSegment.QueueCounter;
import io.virtnvme.ipc.virtio.BlkRequest;
import io.virtnvme.ipc.virtio.DriverQueue;
import java.util.Random;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

/** Where a ring starts, stops, and goes on. */
class StartTest {
  private static final int QUEUE_SIZE = 16;

  private static TestDisk disk() {
    return new TestDisk(1 << 20, 512);
  }

  @ParameterizedTest
  @EnumSource(Layout.class)
  void shouldGoOnFromItsBaseWithANewJournal(final Layout layout) {
    try (Rig rig = layout.started(QUEUE_SIZE, disk())) {
      for (int i = 0; i < 5 * QUEUE_SIZE + 3; i++) {
        assertEquals(BlkRequest.STATUS_OK, rig.read(i, 0, 512));
        if (i % 7 == 0) {
          // Stopped and started by the front-end, on another host for example: ring old, journal
          // new.
          final int base = rig.agent.base();
          rig.dropAgent();
          Mem.fill(rig.journal, 64, (byte) 0);
          rig.setup = rig.newSetup(-1, null, -1, base, false);
          assertEquals(0, rig.startAgent());
        }
      }
      // The used index of the new journal was taken from the ring: the next takeover clears nothing
      // that was never completed.
      rig.disk.asynchronous(8);
      final int token = rig.driver.begin(BlkRequest.TYPE_FLUSH, 0);
      rig.driver.add();
      rig.driver.publish();
      rig.agent.poll(1);
      rig.disk.die(new Random(1));
      rig.dropAgent();
      assertEquals(1, rig.startAgent());
      rig.disk.finish(new Random(1), rig.agent, 0);
      rig.agent.flush();
      assertEquals(token, rig.driver.poll());
    }
  }

  @ParameterizedTest
  @EnumSource(Layout.class)
  void shouldIgnoreTheBaseWithAnOldJournal(final Layout layout) {
    try (Rig rig = layout.started(QUEUE_SIZE, disk())) {
      for (int i = 0; i < 37; i++) {
        assertEquals(BlkRequest.STATUS_OK, rig.read(i, 0, 512));
      }
      rig.dropAgent();
      rig.setup = rig.newSetup(-1, null, -1, rig.driver.initialBase(), false);
      assertEquals(0, rig.startAgent());
      assertEquals(BlkRequest.STATUS_OK, rig.read(0, 0, 512));
    }
  }

  @ParameterizedTest
  @EnumSource(Layout.class)
  void shouldResubmitInFetchOrder(final Layout layout) {
    try (Rig rig = layout.started(QUEUE_SIZE, disk())) {
      rig.disk.asynchronous(16);
      // Tokens are handed out in turn, so that order of heads and order of fetches differ.
      for (int i = 0; i < 5; i++) {
        rig.driver.begin(BlkRequest.TYPE_FLUSH, 0);
        rig.driver.add();
      }
      rig.driver.publish();
      rig.agent.poll(16);
      for (int i = 0; i < 3; i++) {
        rig.disk.finish(new Random(i), rig.agent, 0);
      }
      rig.agent.flush();
      rig.reapAll();
      final byte[] last = new byte[512];
      for (int i = 0; i < 3; i++) {
        final byte[] data = new byte[512];
        java.util.Arrays.fill(data, (byte) (i + 1));
        rig.guestBytes(i * 512L, data);
        rig.driver.begin(BlkRequest.TYPE_OUT, 9);
        rig.driver.data(rig.guestData + i * 512L, 512, false);
        rig.driver.add();
        System.arraycopy(data, 0, last, 0, 512);
      }
      rig.driver.publish();
      rig.agent.poll(16);
      rig.disk.die(new Random(1));
      rig.dropAgent();
      rig.disk.synchronous();
      assertEquals(5, rig.startAgent());
      assertEquals(5, rig.counter(QueueCounter.RESUBMITTED));
      assertArrayEquals(last, rig.disk.bytes(9 * 512, 512));
      assertEquals(5, rig.reapAll());
    }
  }

  @ParameterizedTest
  @EnumSource(Layout.class)
  void shouldDrainWithoutFetching(final Layout layout) {
    try (Rig rig = layout.started(QUEUE_SIZE, disk())) {
      rig.disk.asynchronous(1);
      for (int i = 0; i < 3; i++) {
        rig.driver.begin(BlkRequest.TYPE_FLUSH, 0);
        rig.driver.add();
      }
      rig.driver.publish();
      // The first is in the device, the second waits for room, the third stays in the ring.
      rig.agent.poll(16);
      assertEquals(2, rig.agent.inFlightCount());
      assertEquals(1, rig.agent.heldByChannelCount());
      while (rig.agent.inFlightCount() > 0) {
        rig.disk.finish(new Random(1), rig.agent, 0);
        rig.agent.poll(0);
        rig.agent.flush();
      }
      assertEquals(2, rig.reapAll());
      assertEquals(DriverQueue.NONE, rig.driver.poll());
      final int base = rig.agent.base();
      rig.dropAgent();
      Mem.fill(rig.journal, 64, (byte) 0);
      rig.setup = rig.newSetup(-1, null, -1, base, false);
      rig.startAgent();
      rig.agent.poll(16);
      rig.disk.finish(new Random(1), rig.agent, 0);
      rig.agent.flush();
      assertEquals(1, rig.reapAll());
      assertFalse(rig.agent.isBroken());
    }
  }

  @ParameterizedTest
  @EnumSource(Layout.class)
  void shouldCountOnFromItsPredecessor(final Layout layout) {
    try (Rig rig = layout.started(QUEUE_SIZE, disk())) {
      rig.read(0, 0, 512);
      rig.dropAgent();
      rig.startAgent();
      rig.read(0, 0, 512);
      assertEquals(2, rig.counter(QueueCounter.READ_OPS));
      assertEquals(1024, rig.counter(QueueCounter.READ_BYTES));
    }
  }
}

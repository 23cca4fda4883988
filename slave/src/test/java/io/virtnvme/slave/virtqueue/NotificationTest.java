package io.virtnvme.slave.virtqueue;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.virtnvme.ipc.memory.Mem;
import io.virtnvme.ipc.segment.SessionSegment.QueueCounter;
import io.virtnvme.ipc.sys.EventFd;
import io.virtnvme.ipc.sys.Fds;
import io.virtnvme.ipc.virtio.BlkRequest;
import io.virtnvme.ipc.virtio.DriverQueue;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

/** When the guest is signalled, and when it is asked to kick. */
class NotificationTest {
  private static final int QUEUE_SIZE = 16;

  private int callFd;
  private long scratch;

  @BeforeEach
  void createCallFd() {
    callFd = EventFd.create();
    scratch = Mem.allocate(Long.BYTES);
  }

  @AfterEach
  void closeCallFd() {
    Fds.close(callFd);
    Mem.free(scratch);
  }

  private Rig started(final Layout layout) {
    final Rig rig = new Rig(layout.packed, QUEUE_SIZE, layout.features, new TestDisk(1 << 20, 512));
    rig.setup = rig.newSetup(-1, null, callFd, rig.driver.initialBase(), false);
    rig.startAgent();
    assertEquals(1, takeCalls(), "one call at the start: a predecessor's last may be lost");
    return rig;
  }

  private long takeCalls() {
    return Fds.read(callFd, scratch, Long.BYTES) == Long.BYTES ? Mem.getLong(scratch) : 0;
  }

  private static void add(final Rig rig, final int count) {
    for (int i = 0; i < count; i++) {
      assertNotEquals(DriverQueue.NONE, rig.driver.begin(BlkRequest.TYPE_FLUSH, 0));
      assertTrue(rig.driver.add());
    }
  }

  private static void serve(final Rig rig, final int count) {
    rig.agent.poll(count);
    assertEquals(count, rig.agent.flush());
  }

  /**
   * What one side says and what it reads of the other's wish must not pass each other, or both
   * sides sleep: virtio 1.2, 2.7.7 and 2.8.21.3. No run of one thread after the other shows that,
   * so the order itself is looked at.
   */
  private static boolean endsWithAFence(final Rig rig, final Runnable operation) {
    final StoresAndFences seen = new StoresAndFences(rig);
    Mem.listener(seen);
    try {
      operation.run();
    } finally {
      Mem.listener(null);
    }
    assertTrue(seen.said, "nothing was said in the ring");
    return seen.fenced;
  }

  private static final class StoresAndFences implements Mem.StoreListener {
    private final Rig rig;
    private boolean said;
    private boolean fenced;

    StoresAndFences(final Rig rig) {
      this.rig = rig;
    }

    @Override
    public void onStore(final long address, final int lengthBytes) {
      if (rig.isInRings(address)) {
        said = true;
        fenced = false;
      }
    }

    @Override
    public void onFence() {
      fenced = true;
    }
  }

  @ParameterizedTest
  @EnumSource(Layout.class)
  void shouldFenceBetweenWhatItPublishesAndTheWishForACall(final Layout layout) {
    try (Rig rig = started(layout)) {
      add(rig, 3);
      rig.driver.publish();
      assertTrue(endsWithAFence(rig, () -> serve(rig, 3)));
    }
  }

  @ParameterizedTest
  @EnumSource(Layout.class)
  void shouldFenceBetweenTheWishForAKickAndTheLookForRequests(final Layout layout) {
    try (Rig rig = started(layout)) {
      assertTrue(endsWithAFence(rig, () -> assertFalse(rig.agent.armKicks())));
    }
  }

  @ParameterizedTest
  @EnumSource(Layout.class)
  void shouldCallOncePerFlush(final Layout layout) {
    try (Rig rig = started(layout)) {
      assertFalse(rig.driver.enableCalls());
      add(rig, 5);
      rig.driver.publish();
      serve(rig, 5);
      assertEquals(1, takeCalls());
      rig.agent.flush();
      assertEquals(0, takeCalls());
      assertEquals(2, rig.counter(QueueCounter.CALLS));
    }
  }

  @ParameterizedTest
  @EnumSource(Layout.class)
  void shouldNotCallADriverThatPolls(final Layout layout) {
    try (Rig rig = started(layout)) {
      rig.driver.disableCalls();
      for (int round = 0; round < 3 * QUEUE_SIZE; round++) {
        add(rig, 3);
        rig.driver.publish();
        serve(rig, 3);
        assertEquals(0, takeCalls(), "round " + round);
        assertEquals(3, rig.reapAll());
      }
    }
  }

  @ParameterizedTest
  @EnumSource(Layout.class)
  void shouldCallAtTheEventAcrossLapsOfTheRing(final Layout layout) {
    try (Rig rig = started(layout)) {
      for (int round = 0; round < 5 * QUEUE_SIZE; round++) {
        assertFalse(rig.driver.enableCalls());
        add(rig, 1 + round % 3);
        rig.driver.publish();
        serve(rig, 1 + round % 3);
        assertEquals(1, takeCalls(), "round " + round);
        assertTrue(rig.driver.enableCalls());
        assertEquals(1 + round % 3, rig.reapAll());
      }
    }
  }

  @ParameterizedTest
  @EnumSource(Layout.class)
  void shouldSuppressKicksWhilePolling(final Layout layout) {
    try (Rig rig = started(layout)) {
      int kicks = 0;
      for (int round = 0; round < 10 * QUEUE_SIZE; round++) {
        add(rig, 2);
        kicks += rig.driver.publish() ? 1 : 0;
        serve(rig, 2);
        rig.reapAll();
      }
      assertTrue(kicks <= (layout.hasEventIndex() ? 1 : 0), "kicks=" + kicks);
    }
  }

  @ParameterizedTest
  @EnumSource(Layout.class)
  void shouldBeKickedWhenArmed(final Layout layout) {
    try (Rig rig = started(layout)) {
      for (int round = 0; round < 5 * QUEUE_SIZE; round++) {
        assertFalse(rig.agent.armKicks());
        add(rig, 1 + round % 3);
        assertTrue(rig.driver.publish(), "round " + round);
        rig.agent.onKick();
        rig.agent.disarmKicks();
        serve(rig, 1 + round % 3);
        rig.reapAll();
      }
      assertEquals(5 * QUEUE_SIZE, rig.counter(QueueCounter.KICKS));
    }
  }

  /** A ring that is armed, polled for another reason, and armed again. */
  @ParameterizedTest
  @EnumSource(Layout.class)
  void shouldBeKickedWhenArmedTwice(final Layout layout) {
    try (Rig rig = started(layout)) {
      for (int round = 0; round < 3 * QUEUE_SIZE; round++) {
        assertFalse(rig.agent.armKicks());
        add(rig, 1);
        assertTrue(rig.driver.publish(), "round " + round);
        serve(rig, 1);
        rig.reapAll();
      }
    }
  }

  @ParameterizedTest
  @EnumSource(Layout.class)
  void shouldSeeRequestsThatCameWhileArming(final Layout layout) {
    try (Rig rig = started(layout)) {
      add(rig, 1);
      rig.driver.publish();
      assertTrue(rig.agent.armKicks());
      serve(rig, 1);
      rig.reapAll();
      assertFalse(rig.agent.armKicks());
    }
  }

  @ParameterizedTest
  @EnumSource(Layout.class)
  void shouldUseAnotherCallDescriptor(final Layout layout) {
    try (Rig rig = started(layout)) {
      assertFalse(rig.driver.enableCalls());
      rig.agent.updateCall(-1);
      add(rig, 1);
      rig.driver.publish();
      serve(rig, 1);
      assertEquals(0, takeCalls());
      rig.reapAll();
      assertFalse(rig.driver.enableCalls());
      rig.agent.updateCall(callFd);
      add(rig, 1);
      rig.driver.publish();
      serve(rig, 1);
      assertEquals(1, takeCalls());
    }
  }
}

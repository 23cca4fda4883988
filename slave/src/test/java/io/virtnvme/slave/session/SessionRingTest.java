package io.virtnvme.slave.session;

import static io.virtnvme.slave.session.SessionFixture.GUEST_BASE;
import static io.virtnvme.slave.session.SessionFixture.MEMORY_BYTES;
import static io.virtnvme.slave.session.SessionFixture.QUEUE_COUNT;
import static io.virtnvme.slave.session.SessionFixture.QUEUE_SIZE;
import static io.virtnvme.slave.session.SessionFixture.USER_BASE;
import static io.virtnvme.slave.session.SessionFixture.acknowledged;
import static io.virtnvme.slave.session.SessionFixture.address;
import static io.virtnvme.slave.session.SessionFixture.bare;
import static io.virtnvme.slave.session.SessionFixture.eventFd;
import static io.virtnvme.slave.session.SessionFixture.inflight;
import static io.virtnvme.slave.session.SessionFixture.memoryTable;
import static io.virtnvme.slave.session.SessionFixture.region;
import static io.virtnvme.slave.session.SessionFixture.u64;
import static io.virtnvme.slave.session.SessionFixture.vring;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertNotNull;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.virtnvme.ipc.memory.Mem;
import io.virtnvme.ipc.sys.Fds;
import io.virtnvme.ipc.sys.Mapping;
import io.virtnvme.ipc.sys.Memfd;
import io.virtnvme.ipc.vhostuser.InflightArea;
import io.virtnvme.ipc.vhostuser.VhostUserMessage;
import io.virtnvme.ipc.vhostuser.VhostUserRequest;
import io.virtnvme.ipc.vhostuser.VringState;
import io.virtnvme.ipc.virtio.VirtioFeature;
import io.virtnvme.journal.SplitInflight;
import io.virtnvme.slave.virtqueue.QueueSetup;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.function.Consumer;
import org.junit.jupiter.api.Test;

/** How messages of a front-end start, stop and change rings. */
class SessionRingTest extends SessionTest {
  @Test
  void shouldServeTheSequenceOfQemu() {
    negotiate(SPLIT);
    assertEquals(
        QUEUE_COUNT,
        VhostUserMessage.u64(fixture.ok(bare(VhostUserRequest.GET_QUEUE_NUM)).reply()));
    assertEquals(
        32, VhostUserMessage.u64(fixture.ok(bare(VhostUserRequest.GET_MAX_MEM_SLOTS)).reply()));
    final Answer got = fixture.ok(inflight(VhostUserRequest.GET_INFLIGHT_FD, 0, 0, 2, QUEUE_SIZE));
    final long inflightBytes = 2 * SplitInflight.regionLength(QUEUE_SIZE);
    assertEquals(inflightBytes, InflightArea.mmapSize(got.reply()));
    assertEquals(InflightArea.PADDED_LENGTH, VhostUserMessage.payloadLength(got.reply()));
    assertEquals(1, got.replyFds().length);
    assertTrue((Memfd.seals(got.replyFds()[0]) & Memfd.F_SEAL_SHRINK) != 0);
    final int shared = Fds.duplicate(got.replyFds()[0]);
    fixture.ok(inflight(VhostUserRequest.SET_INFLIGHT_FD, inflightBytes, 0, 2, QUEUE_SIZE), shared);
    Fds.close(shared);
    final Answer added =
        fixture.ok(
            acknowledged(
                region(VhostUserRequest.ADD_MEM_REG, GUEST_BASE, MEMORY_BYTES, USER_BASE, 0)),
            memory);
    assertEquals(0, VhostUserMessage.u64(added.reply()));
    for (int i = 0; i < 2; i++) {
      setUpRing(i);
    }
    final QueueSetup setup = running(1);
    assertEquals(QUEUE_SIZE, setup.queueSize());
    assertEquals(running(0).inflightAddress() + inflightBytes / 2, setup.inflightAddress());
    assertEquals(0x4000, setup.descriptorAddress() - running(0).descriptorAddress());
    assertEquals("a serial of more tha", new String(setup.serial(), StandardCharsets.US_ASCII));
    assertEquals(-1, setup.usedLogAddress());
    assertFalse(setup.packed());

    fixture.host.bases.put(0, 77);
    fixture.ok(vring(VhostUserRequest.SET_VRING_ENABLE, 0, 0));
    final Answer base = fixture.ok(vring(VhostUserRequest.GET_VRING_BASE, 0, 0));
    assertEquals(0, VringState.index(base.reply()));
    assertEquals(77, VringState.num(base.reply()));
    assertEquals(List.of(FdSlots.KICK), Arrays.stream(base.slots()).boxed().toList());
    assertNull(fixture.host.running.get(0));
    assertNotNull(fixture.host.running.get(1));
  }

  @Test
  void shouldStartARingInWhateverOrderItIsSetUp() {
    final List<Consumer<SessionFixture>> steps =
        List.of(
            f -> f.ok(memoryTable(), memory),
            f -> f.ok(vring(VhostUserRequest.SET_VRING_NUM, 1, QUEUE_SIZE)),
            f -> f.ok(address(1)),
            f -> f.ok(u64(VhostUserRequest.SET_VRING_KICK, 1), kick),
            f -> f.ok(vring(VhostUserRequest.SET_VRING_ENABLE, 1, 1)));
    negotiate(SPLIT);
    final long version = fixture.session.version();
    final byte[] record = fixture.session.record();
    int orders = 0;
    for (final List<Integer> order : permutations(steps.size())) {
      final SessionFixture tried = fixture.successor(version, record);
      for (int i = 0; i < order.size(); i++) {
        assertTrue(tried.host.running.isEmpty(), () -> "too early: " + order);
        steps.get(order.get(i)).accept(tried);
      }
      assertEquals(1, tried.host.running.size(), () -> "order: " + order);
      FakeRingHost.assertUsable(tried.host.running.get(1));
      tried.close();
      orders++;
    }
    assertEquals(120, orders);
  }

  private static List<List<Integer>> permutations(final int count) {
    List<List<Integer>> all = List.of(List.of());
    for (int i = 0; i < count; i++) {
      final List<List<Integer>> longer = new ArrayList<>();
      for (final List<Integer> shorter : all) {
        for (int at = 0; at <= shorter.size(); at++) {
          final List<Integer> order = new ArrayList<>(shorter);
          order.add(at, i);
          longer.add(order);
        }
      }
      all = longer;
    }
    return all;
  }

  @Test
  void shouldStartOnKickWithoutProtocolFeatures() {
    fixture.ok(u64(VhostUserRequest.SET_FEATURES, VirtioFeature.of(VirtioFeature.VERSION_1)));
    fixture.ok(memoryTable(), memory);
    fixture.ok(vring(VhostUserRequest.SET_VRING_NUM, 0, 64));
    fixture.ok(address(0));
    fixture.ok(vring(VhostUserRequest.SET_VRING_BASE, 0, 5));
    fixture.ok(u64(VhostUserRequest.SET_VRING_KICK, VringState.NO_FD_FLAG));
    assertEquals(-1, running(0).kickFd());
    assertEquals(-1, running(0).callFd());
    assertEquals(5, running(0).base());
  }

  @Test
  void shouldMakeAnInflightRegionBeforeARingCanRun() {
    negotiate(SPLIT);
    fixture.ok(memoryTable(), memory);
    fixture.ok(address(0));
    assertTrue(fixture.masterFds.containsKey(FdSlots.INFLIGHT));
    fixture.ok(u64(VhostUserRequest.SET_VRING_KICK, 0), kick);
    fixture.ok(vring(VhostUserRequest.SET_VRING_ENABLE, 0, 1));
    final Answer last = fixture.ok(vring(VhostUserRequest.SET_VRING_NUM, 0, QUEUE_SIZE));
    assertEquals(0, last.newFds().length);
    Mem.putLong(running(0).inflightAddress(), 0x1234);
    final SessionFixture next = fixture.successor();
    next.session.startRings();
    assertEquals(0x1234, Mem.getLong(next.host.running.get(0).inflightAddress()));
    assertEquals(QUEUE_SIZE, next.host.running.get(0).inflightQueueSize());
    next.close();
  }

  @Test
  void shouldBeginAnOwnJournalAnewWhenAStoppedRingGetsABase() {
    start(PACKED, 1);
    final long journal = running(0).inflightAddress();
    Mem.putShort(journal + 8, (short) 1);
    fixture.host.bases.put(0, 0x8005_8005);
    final Answer base = fixture.ok(vring(VhostUserRequest.GET_VRING_BASE, 0, 0));
    assertEquals(0x8005_8005, VringState.num(base.reply()));
    fixture.ok(u64(VhostUserRequest.SET_VRING_KICK, 0), kick);
    assertEquals(1, Mem.getShort(running(0).inflightAddress() + 8));
    fixture.ok(vring(VhostUserRequest.GET_VRING_BASE, 0, 0));
    fixture.ok(vring(VhostUserRequest.SET_VRING_BASE, 0, 0x8000_8000));
    assertEquals(0, Mem.getShort(journal + 8));
    fixture.ok(u64(VhostUserRequest.SET_VRING_KICK, 0), kick);
    assertEquals(0x8000_8000, running(0).base());
    assertTrue(running(0).packed());
  }

  /** The reactors start what was prepared before the control thread hears of the takeover. */
  @Test
  void shouldStopRingsOfATakeoverBeforeItsMemoryGoes() {
    start(SPLIT, 2);
    try (SessionFixture successor = fixture.successor()) {
      successor.host.deferred = true;
      final boolean[] closed = new boolean[1];
      successor.session.close(() -> closed[0] = true);
      assertEquals(List.of("start 0", "start 1", "stop 0", "stop 1"), successor.host.calls);
      assertFalse(closed[0]);
      successor.host.runCallbacks();
      assertTrue(closed[0]);
      successor.endWithoutSession();
    }
  }

  /** As libblkio, SPDK's and rust-vmm's front-ends set the base of a packed ring. */
  @Test
  void shouldUnderstandTheBaseOfAPackedRingAsFrontEndsMeanIt() {
    negotiate(PACKED);
    fixture.ok(memoryTable(), memory);
    setUpRing(0);
    assertEquals(0x8000_8000, running(0).base());
    fixture.host.bases.put(0, 0);
    fixture.ok(vring(VhostUserRequest.GET_VRING_BASE, 0, 0));
    Mem.putShort(hostOf(14), (short) 0x8080);
    setUpRing(0);
    assertEquals(0, running(0).base());
    // A request that went over the end of the ring covered the first descriptor: it looks fresh.
    fixture.ok(vring(VhostUserRequest.GET_VRING_BASE, 0, 0));
    Mem.putShort(hostOf(14), (short) 0x0080);
    Mem.putShort(hostOf(5 * 16 + 14), (short) 0x8080);
    setUpRing(0);
    assertEquals(0, running(0).base());
    // So does the first request of a ring that nobody has served.
    fixture.ok(vring(VhostUserRequest.GET_VRING_BASE, 0, 0));
    Mem.putShort(hostOf(5 * 16 + 14), (short) 0);
    setUpRing(0);
    assertEquals(0x8000_8000, running(0).base());
    fixture.ok(vring(VhostUserRequest.GET_VRING_BASE, 0, 0));
    fixture.ok(vring(VhostUserRequest.SET_VRING_BASE, 0, 0x8003));
    fixture.ok(u64(VhostUserRequest.SET_VRING_KICK, 0), kick);
    assertEquals(0x8003_8003, running(0).base());
  }

  /** Where this process has the first byte of the memory that the session maps too. */
  private long hostOf(final long offset) {
    if (ours == null) {
      ours = Mapping.map(memory, 0, MEMORY_BYTES);
    }
    return ours.address() + offset;
  }

  @Test
  void shouldKeepAFrontEndsJournalWhenItSetsTheBase() {
    negotiate(SPLIT);
    fixture.ok(memoryTable(), memory);
    fixture.ok(inflight(VhostUserRequest.GET_INFLIGHT_FD, 0, 0, 1, QUEUE_SIZE));
    setUpRing(0);
    Mem.putShort(running(0).inflightAddress() + 8, (short) 1);
    fixture.ok(vring(VhostUserRequest.GET_VRING_BASE, 0, 0));
    setUpRing(0);
    assertEquals(1, Mem.getShort(running(0).inflightAddress() + 8));
  }

  @Test
  void shouldReplaceACallWithoutStoppingTheRing() {
    start(SPLIT, 1);
    final int other = eventFd();
    fixture.host.deferred = true;
    fixture.post(u64(VhostUserRequest.SET_VRING_CALL, 0), other);
    fixture.host.runCallbacks();
    fixture.post(u64(VhostUserRequest.SET_VRING_CALL, VringState.NO_FD_FLAG));
    fixture.host.runCallbacks();
    fixture.host.deferred = false;
    assertEquals(-1, running(0).callFd());
    assertEquals(List.of("start 0", "call 0", "call 0"), fixture.host.calls);
    Fds.close(other);
  }

  @Test
  void shouldRestartARingForANewKick() {
    start(SPLIT, 1);
    final int before = running(0).kickFd();
    fixture.ok(u64(VhostUserRequest.SET_VRING_KICK, 0), kick);
    assertEquals(List.of("start 0", "stop 0", "start 0"), fixture.host.calls);
    assertNotEquals(before, running(0).kickFd());
  }

  @Test
  void shouldForgetRingsButNotMemoryOnReset() {
    start(SPLIT, 2);
    fixture.ok(u64(VhostUserRequest.SET_STATUS, 15));
    assertEquals(15, VhostUserMessage.u64(fixture.ok(bare(VhostUserRequest.GET_STATUS)).reply()));
    fixture.ok(bare(VhostUserRequest.RESET_DEVICE));
    assertTrue(fixture.host.running.isEmpty());
    assertEquals(0, VhostUserMessage.u64(fixture.ok(bare(VhostUserRequest.GET_STATUS)).reply()));
    setUpRing(0);
    assertEquals(0, running(0).base());
    fixture.ok(u64(VhostUserRequest.SET_STATUS, 0));
    assertTrue(fixture.host.running.isEmpty());
    setUpRing(0);
    running(0);
    fixture.ok(bare(VhostUserRequest.RESET_OWNER));
    assertTrue(fixture.host.running.isEmpty());
  }

  @Test
  void shouldEndOnlyWhenRingsStandStill() {
    start(SPLIT, 2);
    fixture.host.deferred = true;
    final boolean[] ended = new boolean[1];
    final SessionFixture next = fixture.successor();
    next.session.startRings();
    next.host.deferred = true;
    next.post(vring(VhostUserRequest.GET_VRING_BASE, 0, 0));
    next.session.close(() -> ended[0] = true);
    assertFalse(ended[0]);
    assertEquals(0, next.answers.size());
    next.host.runCallbacks();
    assertTrue(ended[0]);
    assertEquals(1, next.answers.size());
    assertTrue(next.host.running.isEmpty());
    next.masterFds.values().forEach(Fds::close);
    next.segment.close();
    // Judged by its name: threads of the JVM open files, and a closed number is used again.
    final Map<String, Integer> before = SessionFixture.openFds();
    final int late = SessionFixture.memfd();
    assertNotEquals(before, SessionFixture.openFds());
    assertThrows(
        IllegalStateException.class,
        () ->
            next.session.onMessage(
                u64(VhostUserRequest.SET_VRING_KICK, 0), new int[] {late}, answer -> {}));
    assertEquals(before, SessionFixture.openFds());
  }
}

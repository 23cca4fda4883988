package io.virtnvme.slave.session;

import static io.virtnvme.slave.session.SessionFixture.GUEST_BASE;
import static io.virtnvme.slave.session.SessionFixture.MEMORY_BYTES;
import static io.virtnvme.slave.session.SessionFixture.QUEUE_COUNT;
import static io.virtnvme.slave.session.SessionFixture.QUEUE_SIZE;
import static io.virtnvme.slave.session.SessionFixture.USER_BASE;
import static io.virtnvme.slave.session.SessionFixture.acknowledged;
import static io.virtnvme.slave.session.SessionFixture.address;
import static io.virtnvme.slave.session.SessionFixture.bare;
import static io.virtnvme.slave.session.SessionFixture.config;
import static io.virtnvme.slave.session.SessionFixture.eventFd;
import static io.virtnvme.slave.session.SessionFixture.inflight;
import static io.virtnvme.slave.session.SessionFixture.log;
import static io.virtnvme.slave.session.SessionFixture.memfd;
import static io.virtnvme.slave.session.SessionFixture.memoryTable;
import static io.virtnvme.slave.session.SessionFixture.region;
import static io.virtnvme.slave.session.SessionFixture.u64;
import static io.virtnvme.slave.session.SessionFixture.vring;
import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertNotNull;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertSame;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import io.virtnvme.ipc.memory.Mem;
import io.virtnvme.ipc.sys.Fds;
import io.virtnvme.ipc.sys.Mapping;
import io.virtnvme.ipc.sys.Memfd;
import io.virtnvme.ipc.sys.UnixSocket;
import io.virtnvme.ipc.vhostuser.ConfigSpace;
import io.virtnvme.ipc.vhostuser.InflightArea;
import io.virtnvme.ipc.vhostuser.VhostUserMessage;
import io.virtnvme.ipc.vhostuser.VhostUserProtocolFeature;
import io.virtnvme.ipc.vhostuser.VhostUserRequest;
import io.virtnvme.ipc.vhostuser.VringState;
import io.virtnvme.ipc.virtio.BlkFeature;
import io.virtnvme.ipc.virtio.VirtioFeature;
import io.virtnvme.journal.SplitInflight;
import io.virtnvme.slave.virtqueue.QueueSetup;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.function.Consumer;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class VhostUserSessionTest {
  private static final long SPLIT =
      VirtioFeature.of(
          VirtioFeature.VERSION_1,
          VirtioFeature.RING_EVENT_IDX,
          VirtioFeature.PROTOCOL_FEATURES,
          BlkFeature.FLUSH);
  private static final long PACKED = SPLIT | VirtioFeature.of(VirtioFeature.RING_PACKED);
  private static final long LOGGED = SPLIT | VirtioFeature.of(VirtioFeature.LOG_ALL);

  private static final long HUGE_PAGE_BYTES = 2 << 20;

  @TempDir Path folder;
  private SessionFixture fixture;
  private int memory;
  private int kick;
  private int call;
  private Mapping ours;
  private Map<String, Integer> openFds;

  @BeforeEach
  void setUp() {
    memory = memfd();
    kick = eventFd();
    call = eventFd();
    fixture = new SessionFixture(folder);
    openFds = SessionFixture.openFds();
  }

  @AfterEach
  void shouldLeaveNoDescriptorBehind() {
    fixture.close();
    if (ours != null) {
      ours.close();
    }
    assertEquals(openFds, SessionFixture.openFds(), "descriptors");
    Fds.close(memory);
    Fds.close(kick);
    Fds.close(call);
  }

  private void negotiate(final long features) {
    final byte[] offered = fixture.ok(bare(VhostUserRequest.GET_PROTOCOL_FEATURES)).reply();
    fixture.ok(u64(VhostUserRequest.SET_PROTOCOL_FEATURES, VhostUserMessage.u64(offered)));
    fixture.ok(bare(VhostUserRequest.SET_OWNER));
    fixture.ok(u64(VhostUserRequest.SET_FEATURES, features));
  }

  private void setUpRing(final int index) {
    fixture.ok(vring(VhostUserRequest.SET_VRING_NUM, index, QUEUE_SIZE));
    fixture.ok(vring(VhostUserRequest.SET_VRING_BASE, index, 0));
    fixture.ok(address(index));
    fixture.ok(u64(VhostUserRequest.SET_VRING_KICK, index), kick);
    fixture.ok(u64(VhostUserRequest.SET_VRING_CALL, index), call);
    fixture.ok(vring(VhostUserRequest.SET_VRING_ENABLE, index, 1));
  }

  private void start(final long features, final int ringCount) {
    negotiate(features);
    fixture.ok(memoryTable(), memory);
    for (int i = 0; i < ringCount; i++) {
      setUpRing(i);
    }
  }

  private QueueSetup running(final int index) {
    final QueueSetup setup = fixture.host.running.get(index);
    assertNotNull(setup, "ring " + index + " does not run");
    FakeRingHost.assertUsable(setup);
    return setup;
  }

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
  void shouldStoreTheNewVersionBeforeAnyRingIsTouched() {
    start(SPLIT, 1);
    fixture.host.deferred = true;
    final long before = fixture.session.version();
    fixture.post(vring(VhostUserRequest.GET_VRING_BASE, 0, 0));
    assertEquals(before, fixture.session.version());
    assertEquals(before + 1, fixture.segment.applying());
    assertFalse(fixture.session.mayStart());
    assertEquals(1, fixture.host.pendingCount());
    final int answered = fixture.answers.size();
    fixture.host.runCallbacks();
    assertEquals(answered + 1, fixture.answers.size());
    assertEquals(before + 1, fixture.session.version());
    assertTrue(fixture.session.mayStart());
  }

  @Test
  void shouldKeepTheVersionWhenNothingChanges() {
    start(SPLIT, 1);
    final long version = fixture.session.version();
    for (final VhostUserRequest request :
        List.of(
            VhostUserRequest.GET_FEATURES,
            VhostUserRequest.GET_PROTOCOL_FEATURES,
            VhostUserRequest.GET_QUEUE_NUM,
            VhostUserRequest.GET_STATUS,
            VhostUserRequest.GET_MAX_MEM_SLOTS,
            VhostUserRequest.SET_OWNER)) {
      fixture.ok(bare(request));
    }
    fixture.ok(config(VhostUserRequest.GET_CONFIG, 0, 60, 0, 0));
    fixture.ok(u64(VhostUserRequest.SET_FEATURES, SPLIT));
    assertEquals(version, fixture.session.version());
    assertEquals(version, fixture.segment.applying());
    assertEquals(List.of("start 0"), fixture.host.calls);
  }

  @Test
  void shouldKeepRingsRunningWhileMemoryIsAddedAndRemoved() {
    start(SPLIT, 2);
    final int more = memfd();
    fixture.host.deferred = true;
    fixture.post(
        region(
            VhostUserRequest.ADD_MEM_REG, 0x2_0000_0000L, 0x8000, USER_BASE + (1L << 30), 0x4000),
        more);
    assertEquals("update", fixture.host.calls.get(fixture.host.calls.size() - 1));
    fixture.host.runCallbacks();
    assertEquals(2, running(0).memory().regions().size());
    assertNotEquals(0, running(0).memory().translate(0x2_0000_7fffL, 1));
    fixture.post(
        region(VhostUserRequest.REM_MEM_REG, 0x2_0000_0000L, 0x8000, USER_BASE + (1L << 30), 0),
        more);
    // Until the reactor lets go, the mapping stays; assertUsable in the callback touches it.
    fixture.host.runCallbacks();
    assertEquals(1, running(0).memory().regions().size());
    assertEquals(List.of("start 0", "start 1", "update", "update"), fixture.host.calls);
    fixture.host.deferred = false;
    Fds.close(more);
  }

  @Test
  void shouldPauseARingWhileItsMemoryIsAway() {
    start(SPLIT, 1);
    fixture.host.bases.put(0, 9);
    fixture.ok(region(VhostUserRequest.REM_MEM_REG, GUEST_BASE, MEMORY_BYTES, USER_BASE, 0));
    assertTrue(fixture.host.running.isEmpty());
    fixture.ok(
        region(VhostUserRequest.ADD_MEM_REG, GUEST_BASE, MEMORY_BYTES, USER_BASE, 0), memory);
    assertEquals(9, running(0).base());
  }

  @Test
  void shouldMapUnalignedOffsetsAndSharedFiles() {
    negotiate(SPLIT);
    final long half = MEMORY_BYTES / 2;
    fixture.ok(
        memoryTable(
            0, half, USER_BASE, 0, 0x1_0000_0000L, half - 0x800, USER_BASE + half, half + 0x800),
        memory,
        memory);
    setUpRing(0);
    final QueueSetup setup = running(0);
    final long host = setup.memory().translate(0x1_0000_0000L, half - 0x800);
    Mem.putLong(host, 0x5555);
    final long scratch = Mem.allocate(8);
    assertEquals(8, Fds.pread(memory, scratch, 8, half + 0x800));
    assertEquals(0x5555, Mem.getLong(scratch));
    Mem.free(scratch);
    // The same table again, from new descriptors of the same file: nothing moves.
    fixture.ok(
        memoryTable(
            0, half, USER_BASE, 0, 0x1_0000_0000L, half - 0x800, USER_BASE + half, half + 0x800),
        memory,
        memory);
    assertSame(setup.memory(), running(0).memory());
    assertEquals(List.of("start 0"), fixture.host.calls);
  }

  @Test
  void shouldMapHugePages() throws IOException {
    assumeTrue(
        Files.readAllLines(Path.of("/proc/meminfo")).stream()
            .filter(line -> line.startsWith("HugePages_Free:"))
            .anyMatch(line -> Integer.parseInt(line.replaceAll("\\D", "")) >= 2),
        "the pool has no two free pages of 2 MiB");
    final int huge = Memfd.createHuge("guest", 2 * HUGE_PAGE_BYTES);
    negotiate(SPLIT);
    // Begins and ends in the middle of a page.
    fixture.ok(memoryTable(GUEST_BASE, HUGE_PAGE_BYTES, USER_BASE, HUGE_PAGE_BYTES / 2), huge);
    setUpRing(0);
    final long host = running(0).memory().translate(GUEST_BASE, HUGE_PAGE_BYTES);
    assertEquals(HUGE_PAGE_BYTES / 2, host & (HUGE_PAGE_BYTES - 1));
    Mem.putLong(host + HUGE_PAGE_BYTES - 8, 7);
    fixture.ok(memoryTable(new long[0]));
    Fds.close(huge);
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
  void shouldLogDirtyPagesOnTheFly() {
    start(SPLIT, 1);
    final int logFd = Memfd.create("log", 0x10000);
    final Answer answer = fixture.ok(log(0x8000, 0x100), logFd);
    assertEquals(0, VhostUserMessage.u64(answer.reply()));
    assertNull(running(0).log());
    fixture.ok(u64(VhostUserRequest.SET_FEATURES, LOGGED));
    running(0).log().mark(5 << 12, 1);
    final long scratch = Mem.allocate(1);
    assertEquals(1, Fds.pread(logFd, scratch, 1, 0x100));
    assertEquals(1 << 5, Mem.getByte(scratch));
    Mem.free(scratch);
    fixture.ok(address(0, 1, USER_BASE));
    assertEquals(0x5000, running(0).usedLogAddress());
    fixture.ok(u64(VhostUserRequest.SET_FEATURES, SPLIT));
    assertNull(running(0).log());
    assertEquals(List.of("start 0", "update", "stop 0", "start 0", "update"), fixture.host.calls);
    final int event = eventFd();
    fixture.ok(bare(VhostUserRequest.SET_LOG_FD), event);
    assertTrue(fixture.masterFds.containsKey(FdSlots.LOG_NOTIFY));
    Fds.close(event);
    Fds.close(logFd);
  }

  @Test
  void shouldDescribeTheDisk() {
    negotiate(SPLIT);
    // A newer front-end asks for fields that we do not have: zeros.
    final byte[] reply = fixture.ok(config(VhostUserRequest.GET_CONFIG, 0, 96, 0, 7)).reply();
    assertEquals(ConfigSpace.length(96), VhostUserMessage.payloadLength(reply));
    final ByteBuffer bytes = ByteBuffer.wrap(reply).order(ByteOrder.LITTLE_ENDIAN);
    final int at = ConfigSpace.bytesIndex();
    assertEquals(1 << 21, bytes.getLong(at));
    assertEquals(126, bytes.getInt(at + 12));
    assertEquals(512, bytes.getInt(at + 20));
    assertEquals(1, bytes.get(at + 32));
    assertEquals(QUEUE_COUNT, bytes.getShort(at + 34));
    assertEquals(1, bytes.getInt(at + 44));
    assertEquals(0, bytes.getInt(at + 64));
    final byte[] padded =
        Arrays.copyOf(
            config(VhostUserRequest.SET_CONFIG, 32, 1, 0, 0), 12 + ConfigSpace.length(256));
    ByteBuffer.wrap(padded).order(ByteOrder.LITTLE_ENDIAN).putInt(8, ConfigSpace.length(256));
    assertNull(fixture.ok(padded).reply());
    final byte[] part = fixture.ok(config(VhostUserRequest.GET_CONFIG, 20, 4, 0, 0)).reply();
    assertEquals(512, ByteBuffer.wrap(part).order(ByteOrder.LITTLE_ENDIAN).getInt(at));
  }

  @Test
  void shouldToggleTheWriteCache() {
    start(SPLIT, 1);
    assertTrue(running(0).writeback());
    fixture.ok(config(VhostUserRequest.SET_CONFIG, 32, 1, 0, 0));
    assertFalse(running(0).writeback());
    assertEquals(
        0,
        fixture.ok(config(VhostUserRequest.GET_CONFIG, 32, 1, 0, 0))
            .reply()[ConfigSpace.bytesIndex()]);
    fixture.ok(config(VhostUserRequest.SET_CONFIG, 0, 60, 1, 1));
    assertTrue(running(0).writeback());
    assertEquals(List.of("start 0", "writeback false", "writeback true"), fixture.host.calls);
  }

  @Test
  void shouldOfferOnlyWhatTheDiskCan() {
    final long offered =
        VhostUserMessage.u64(fixture.ok(bare(VhostUserRequest.GET_FEATURES)).reply());
    assertTrue(VirtioFeature.has(offered, VirtioFeature.RING_PACKED));
    assertTrue(VirtioFeature.has(offered, BlkFeature.DISCARD));
    assertFalse(VirtioFeature.has(offered, BlkFeature.RO));
    fixture.close();
    fixture = new SessionFixture(folder, SessionFixture.description(true, false));
    final long readOnly =
        VhostUserMessage.u64(fixture.ok(bare(VhostUserRequest.GET_FEATURES)).reply());
    assertFalse(VirtioFeature.has(readOnly, VirtioFeature.RING_PACKED));
    assertFalse(VirtioFeature.has(readOnly, BlkFeature.WRITE_ZEROES));
    assertTrue(VirtioFeature.has(readOnly, BlkFeature.RO));
    start(SPLIT, 1);
    assertTrue(running(0).readOnly());
  }

  @Test
  void shouldTellTheFrontEndOfAResize() {
    start(SPLIT, 1);
    final int[] channel = UnixSocket.streamPair();
    fixture.ok(bare(VhostUserRequest.SET_BACKEND_REQ_FD), channel[1]);
    fixture.session.onResize(4096);
    final long buffer = Mem.allocate(64);
    assertEquals(12, Fds.read(channel[0], buffer, 64));
    assertEquals(2, Mem.getInt(buffer));
    assertEquals(1, Mem.getInt(buffer + 4));
    assertEquals(0, Mem.getInt(buffer + 8));
    Mem.free(buffer);
    final byte[] reply = fixture.ok(config(VhostUserRequest.GET_CONFIG, 0, 8, 0, 0)).reply();
    assertEquals(
        4096,
        ByteBuffer.wrap(reply).order(ByteOrder.LITTLE_ENDIAN).getLong(ConfigSpace.bytesIndex()));
    // A front-end that does not read, and one that is gone, must not hold us up.
    for (int i = 0; i < 400; i++) {
      fixture.session.onResize(i + 1);
    }
    Fds.close(channel[0]);
    fixture.session.onResize(1);
    Fds.close(channel[1]);
  }

  @Test
  void shouldNotTellOfAResizeFromAStandby() {
    start(SPLIT, 1);
    final int[] channel = UnixSocket.streamPair();
    fixture.ok(bare(VhostUserRequest.SET_BACKEND_REQ_FD), channel[1]);
    final SessionFixture standby = fixture.successor();
    standby.session.onResize(4096);
    assertFalse(Fds.awaitReadable(channel[0], 0));
    standby.close();
    Fds.close(channel[0]);
    Fds.close(channel[1]);
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
  void shouldRemapOnlyWhatChangedOnAStandby() {
    start(SPLIT, 2);
    final SessionFixture standby = fixture.successor();
    final List<QueueSetup> before = standby.session.runnableQueues();
    assertEquals(2, before.size());
    fixture.ok(u64(VhostUserRequest.SET_VRING_CALL, 0), call);
    final Map<String, Integer> openBefore = SessionFixture.openFds();
    standby.load(fixture.session.version(), fixture.session.record(), fixture.masterFds);
    final List<QueueSetup> after = standby.session.runnableQueues();
    assertSame(before.get(0).memory(), after.get(0).memory());
    assertEquals(before.get(0).inflightAddress(), after.get(0).inflightAddress());
    after.forEach(FakeRingHost::assertUsable);
    assertTrue(standby.session.mayStart());
    assertTrue(standby.host.running.isEmpty());
    assertEquals(openBefore, SessionFixture.openFds());
    standby.session.startRings();
    assertEquals(2, standby.host.running.size());
    standby.session.startRings();
    assertEquals(List.of("start 0", "start 1"), standby.host.calls);
    standby.close();
  }

  @Test
  void shouldLoadFromWhatItHolds() {
    start(PACKED, 3);
    final int[] slots = fixture.session.heldSlots();
    final int[] fds = fixture.session.heldFds();
    assertEquals(
        fixture.masterFds.keySet().stream().toList(), Arrays.stream(slots).boxed().toList());
    final SessionFixture next = fixture.successor();
    assertArrayEquals(fixture.session.record(), next.session.record());
    for (final int fd : fds) {
      assertFalse(SessionFixture.isClosed(fd));
    }
    next.close();
  }

  @Test
  void shouldRefuseARecordThatDoesNotFitItsDescriptors() {
    start(SPLIT, 1);
    final SessionFixture next = fixture.unloaded();
    final Map<String, Integer> open = SessionFixture.openFds();
    final byte[] record = fixture.session.record();
    final int[] slots = fixture.session.heldSlots();
    for (int missing = 0; missing < slots.length; missing++) {
      final int[] fewer = without(slots, missing);
      final int[] fds = without(fixture.session.heldFds(), missing);
      final int[] copies = Arrays.stream(fds).map(Fds::duplicate).toArray();
      assertThrows(SessionException.class, () -> next.session.load(9, record, fewer, copies));
    }
    final int[] mixed =
        Arrays.stream(fixture.session.heldFds()).map(fd -> Fds.duplicate(kick)).toArray();
    assertThrows(SessionException.class, () -> next.session.load(9, record, slots, mixed));
    record[0] ^= 1;
    final int[] copies = Arrays.stream(fixture.session.heldFds()).map(Fds::duplicate).toArray();
    assertThrows(SessionException.class, () -> next.session.load(9, record, slots, copies));
    assertEquals(open, SessionFixture.openFds());
    assertEquals(0, next.session.version());
    next.close();
  }

  private static int[] without(final int[] numbers, final int index) {
    final List<Integer> kept = new ArrayList<>();
    for (int i = 0; i < numbers.length; i++) {
      if (i != index) {
        kept.add(numbers[i]);
      }
    }
    return kept.stream().mapToInt(number -> number).toArray();
  }

  @Test
  void shouldNotLoadMemoryThatWasCutShort() {
    start(SPLIT, 1);
    Fds.truncate(memory, MEMORY_BYTES / 2);
    final SessionFixture next = fixture.unloaded();
    final int[] copies = Arrays.stream(fixture.session.heldFds()).map(Fds::duplicate).toArray();
    final SessionException e =
        assertThrows(
            SessionException.class,
            () ->
                next.session.load(
                    fixture.session.version(),
                    fixture.session.record(),
                    fixture.session.heldSlots(),
                    copies));
    assertTrue(e.getMessage().contains("runs over the end of its file"), e.getMessage());
    Fds.truncate(memory, MEMORY_BYTES);
    next.close();
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
    final int copy = Fds.duplicate(kick);
    assertThrows(
        IllegalStateException.class,
        () ->
            next.session.onMessage(
                u64(VhostUserRequest.SET_VRING_KICK, 0), new int[] {copy}, answer -> {}));
    assertTrue(SessionFixture.isClosed(copy));
  }

  @Test
  void shouldAcknowledgeOnlyWhatWasNegotiated() {
    assertNull(fixture.ok(acknowledged(bare(VhostUserRequest.SET_OWNER))).reply());
    final Answer answer =
        fixture.ok(
            acknowledged(
                u64(
                    VhostUserRequest.SET_PROTOCOL_FEATURES,
                    VhostUserProtocolFeature.REPLY_ACK.mask())));
    assertEquals(0, VhostUserMessage.u64(answer.reply()));
    assertEquals(5, VhostUserMessage.flags(answer.reply()));
    assertNull(fixture.ok(bare(VhostUserRequest.SET_OWNER)).reply());
    assertNotNull(fixture.ok(acknowledged(bare(VhostUserRequest.SET_OWNER))).reply());
  }
}

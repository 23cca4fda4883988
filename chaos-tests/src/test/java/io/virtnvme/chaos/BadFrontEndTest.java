package io.virtnvme.chaos;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.virtnvme.ipc.memory.Mem;
import io.virtnvme.ipc.sys.EventFd;
import io.virtnvme.ipc.sys.Fds;
import io.virtnvme.ipc.vhostuser.VhostUserMessage;
import io.virtnvme.ipc.vhostuser.VhostUserRequest;
import io.virtnvme.ipc.virtio.AvailRing;
import io.virtnvme.ipc.virtio.BlkRequest;
import io.virtnvme.ipc.virtio.SplitDescriptor;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Random;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.TestInstance;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.jupiter.params.provider.ValueSource;

/**
 * P6: whatever a front-end or guest does, only its own session suffers. One pair and one verified
 * load on another disk live through all tests; after each of them the attacked disk serves a sound
 * guest again.
 */
@Tag("once")
@TestInstance(TestInstance.Lifecycle.PER_CLASS)
class BadFrontEndTest {
  private static final Duration LIMIT = Duration.ofSeconds(20);
  private static final int LENGTH = 4096;
  private static final long FAR_AWAY = 1L << 40;
  private static final int HEADER_LENGTH = VhostUserMessage.HEADER_LENGTH;

  private final long seed = Long.getLong("virtnvme.seed", System.nanoTime());
  private final Random random = new Random(seed);
  private Pair pair;
  private LoadProcess load;
  private int slave;
  private int logLength;
  private long failedBefore;

  @BeforeAll
  void start() {
    pair = Pair.start(PairOptions.ofFirstCompiler());
    pair.createMemDisk("good", LoadOptions.BLOCK_COUNT);
    pair.createController("good", "good", false);
    pair.createMemDisk("bad", 256);
    pair.createController("bad", "bad", false);
    pair.createMemDisk("packed", 256);
    pair.createController("packed", "packed", true);
    slave = pair.activePidWithStandbys(1, 0);
    load = LoadProcess.start(pair, "good", LoadOptions.usual(seed).withQueueDepth(2));
  }

  @AfterAll
  void end() {
    if (load != null) {
      load.finish();
      load.close();
    }
    if (pair != null) {
      pair.close();
    }
  }

  @BeforeEach
  void remember() {
    logLength = pair.logText().length();
    failedBefore = pair.counter("sessions_failed");
  }

  @AfterEach
  void nobodyElseSuffered() {
    try {
      assertTrue(pair.isMasterAlive(), "the master lives");
      assertEquals(slave, pair.activePid(), "the slave lives");
      load.awaitIos(500);
      for (final String controller : List.of("bad", "packed")) {
        // Connections that are not over yet count for the limit per controller.
        Waiting.until("no session is left", LIMIT, () -> sessionCount(controller) == 0);
        try (RawGuest guest =
            RawGuest.running(pair.socket(controller), controller.equals("packed"))) {
          assertEquals(0, guest.transfer(BlkRequest.TYPE_OUT, 8, LENGTH, false));
          assertEquals(0, guest.transfer(BlkRequest.TYPE_IN, 8, LENGTH, true));
        }
      }
    } catch (final RuntimeException | Error e) {
      System.err.println("-Dvirtnvme.seed=" + seed + "\n" + pair.evidence());
      throw e;
    }
  }

  private int sessionCount(final String controller) {
    return pair.call("vhost_get_controllers", Json.of("name", controller))
        .path(0)
        .path("sessions")
        .size();
  }

  /** The session was closed: the front-end sees it, a counter and one line in the log tell why. */
  private void assertClosed(final RawFrontEnd frontEnd) {
    assertTrue(frontEnd.isHungUpWithin(LIMIT), "the session is closed\n" + newLog());
    Waiting.until(
        "the counter goes up by one",
        LIMIT,
        () -> pair.counter("sessions_failed") == failedBefore + 1);
    assertEquals(1, closedLines(), () -> "lines that say why in\n" + newLog());
  }

  private long closedLines() {
    return newLog()
        .lines()
        .filter(line -> line.contains("WARN") && line.contains(" is closed: "))
        .count();
  }

  private String newLog() {
    return pair.logText().substring(logLength);
  }

  private RawFrontEnd connect() {
    return RawFrontEnd.connect(pair.socket("bad"));
  }

  private RawGuest running() {
    return RawGuest.running(pair.socket("bad"), false);
  }

  private RawGuest negotiated() {
    return RawGuest.negotiated(pair.socket("bad"), false);
  }

  private static byte[] header(final int request, final int flags, final int size) {
    return ByteBuffer.allocate(HEADER_LENGTH)
        .order(ByteOrder.LITTLE_ENDIAN)
        .putInt(request)
        .putInt(flags)
        .putInt(size)
        .array();
  }

  @ParameterizedTest
  @ValueSource(ints = {0, 44, 999, Integer.MIN_VALUE, -1})
  void shouldCloseOnUnknownRequest(final int request) {
    try (RawFrontEnd frontEnd = connect()) {
      frontEnd.send(header(request, 1, 0));
      assertClosed(frontEnd);
    }
  }

  @ParameterizedTest
  @ValueSource(ints = {64 * 1024, 1 << 30, Integer.MAX_VALUE, -1})
  void shouldCloseOnOversizedMessage(final int size) {
    try (RawFrontEnd frontEnd = connect()) {
      frontEnd.send(header(VhostUserRequest.SET_OWNER.code(), 1, size));
      assertClosed(frontEnd);
    }
  }

  @ParameterizedTest
  @ValueSource(ints = {0, 2, 3, 5, 0x80000001})
  void shouldCloseOnWrongFlags(final int flags) {
    try (RawFrontEnd frontEnd = connect()) {
      frontEnd.send(header(VhostUserRequest.GET_FEATURES.code(), flags, 0));
      if (flags == 0x80000001) {
        // Reserved bits are not looked at.
        assertNotEquals(null, frontEnd.receive());
      } else {
        assertClosed(frontEnd);
      }
    }
  }

  /** Half a message keeps nobody else waiting, and is no fault until the front-end hangs up. */
  @ParameterizedTest
  @ValueSource(ints = {1, 11, 12, 19})
  void shouldWaitForTheRestOfAMessage(final int sent) {
    final byte[] message =
        VhostUserMessage.requestU64(VhostUserRequest.SET_PROTOCOL_FEATURES, 0, 1);
    try (RawFrontEnd slow = connect()) {
      slow.send(Arrays.copyOf(message, sent));
      load.awaitIos(500);
      slow.send(Arrays.copyOfRange(message, sent, message.length));
      assertTrue(slow.callU64(VhostUserRequest.GET_FEATURES) != 0);
      slow.send(Arrays.copyOf(message, sent));
    }
    Waiting.until("the session ends", LIMIT, () -> newLog().contains("the front-end hung up"));
    assertEquals(failedBefore, pair.counter("sessions_failed"));
  }

  @ParameterizedTest
  @ValueSource(ints = {1, 8, 33, 253})
  void shouldCloseOnDescriptorsThatDoNotBelong(final int count) {
    final int[] fds = new int[count];
    for (int i = 0; i < count; i++) {
      fds[i] = EventFd.create();
    }
    final int before = openFiles(slave);
    try (RawFrontEnd frontEnd = connect()) {
      frontEnd.send(header(VhostUserRequest.GET_FEATURES.code(), 1, 0), fds);
      assertClosed(frontEnd);
    } finally {
      for (final int fd : fds) {
        Fds.close(fd);
      }
    }
    Waiting.until("no descriptor is left behind", LIMIT, () -> openFiles(slave) <= before + 4);
  }

  private static int openFiles(final int pid) {
    final String[] names = new java.io.File("/proc/" + pid + "/fd").list();
    return names == null ? -1 : names.length;
  }

  @Test
  void shouldRefuseRingsOutsideMemory() {
    for (final long shift : new long[] {RawGuest.MEMORY_BYTES, FAR_AWAY, -FAR_AWAY, -1}) {
      try (RawGuest guest = negotiated()) {
        guest.sendMemory(RawGuest.MEMORY_BYTES);
        guest.prepareRing();
        assertNotEquals(0, guest.frontEnd().acknowledgement(guest.addressMessage(shift)));
        // The front-end may put it right.
        guest.startRing(guest.addressMessage(0));
        assertEquals(0, guest.transfer(BlkRequest.TYPE_OUT, 0, LENGTH, false));
      }
    }
  }

  @Test
  void shouldRefuseMemoryThatIsLongerThanItsFile() {
    try (RawGuest guest = negotiated()) {
      assertNotEquals(
          0,
          guest
              .frontEnd()
              .acknowledgement(
                  guest.memoryMessage(RawGuest.MEMORY_BYTES + 4096), guest.memoryFd()));
      assertNotEquals(
          0, guest.frontEnd().acknowledgement(guest.memoryMessage(FAR_AWAY), guest.memoryFd()));
    }
  }

  @Test
  void shouldCloseOnDescriptorLoop() {
    try (RawGuest guest = running()) {
      final long table = guest.toHost(guest.queue().descriptorGuestAddress());
      for (int i = 0; i < 2; i++) {
        final long descriptor = table + (long) i * SplitDescriptor.DESCRIPTOR_LENGTH;
        Mem.putLong(descriptor + SplitDescriptor.ADDRESS_OFFSET, RawGuest.dataGuestAddress());
        Mem.putLong(
            descriptor + SplitDescriptor.WORD_OFFSET,
            SplitDescriptor.word(16, SplitDescriptor.FLAG_NEXT, 1 - i));
      }
      makeAvailable(guest, 0, 1);
      assertClosed(guest.frontEnd());
    }
  }

  @ParameterizedTest
  @ValueSource(ints = {RawGuest.QUEUE_SIZE + 1, 1000, 0xFFFF})
  void shouldCloseWhenTheAvailIndexJumps(final int jump) {
    try (RawGuest guest = running()) {
      makeAvailable(guest, 0, jump);
      assertClosed(guest.frontEnd());
    }
  }

  @ParameterizedTest
  @ValueSource(ints = {RawGuest.QUEUE_SIZE, 0xFFFF})
  void shouldCloseOnHeadOutsideTheTable(final int head) {
    try (RawGuest guest = running()) {
      makeAvailable(guest, head, 1);
      assertClosed(guest.frontEnd());
    }
  }

  private static void makeAvailable(final RawGuest guest, final int head, final int index) {
    final long avail = guest.toHost(guest.queue().driverAreaGuestAddress());
    Mem.putShort(avail + AvailRing.RING_OFFSET, (short) head);
    Mem.putShortRelease(avail + AvailRing.INDEX_OFFSET, (short) index);
    guest.kick();
  }

  /** The specification has a status for these, so the session goes on. */
  @Test
  void shouldAnswerWithAnErrorWhatCannotBeDone() {
    try (RawGuest guest = running()) {
      final long sectors = guest.capacitySectors();
      assertEquals(
          BlkRequest.STATUS_IOERR, guest.transfer(BlkRequest.TYPE_IN, sectors, LENGTH, true));
      assertEquals(
          BlkRequest.STATUS_IOERR, guest.transfer(BlkRequest.TYPE_OUT, sectors - 1, LENGTH, false));
      assertEquals(BlkRequest.STATUS_IOERR, guest.transfer(BlkRequest.TYPE_OUT, -1, LENGTH, false));
      assertEquals(BlkRequest.STATUS_UNSUPP, guest.transfer(4711, 0, LENGTH, false));
      assertEquals(BlkRequest.STATUS_IOERR, guest.transfer(BlkRequest.TYPE_OUT, 0, 513, false));
      for (final long address :
          new long[] {
            0, RawGuest.GUEST_BASE - 1, RawGuest.GUEST_BASE + RawGuest.MEMORY_BYTES - 8, -8
          }) {
        final int token = guest.submit(BlkRequest.TYPE_IN, 0, address, LENGTH, true);
        assertEquals(BlkRequest.STATUS_IOERR, guest.awaitStatus(token), "data at " + address);
      }
      assertEquals(BlkRequest.STATUS_OK, guest.transfer(BlkRequest.TYPE_OUT, 0, LENGTH, false));
    }
    assertEquals(failedBefore, pair.counter("sessions_failed"));
  }

  /** Guest memory is cut short while requests run: the slave meets SIGBUS and survives it. */
  @ParameterizedTest
  @ValueSource(booleans = {false, true})
  void shouldOutliveMemoryThatIsCutShort(final boolean packed) {
    try (RawGuest guest = RawGuest.running(pair.socket(packed ? "packed" : "bad"), packed)) {
      assertEquals(0, guest.transfer(BlkRequest.TYPE_OUT, 0, LENGTH, false));
      // The rings stay, the data goes.
      guest.cutMemory(RawGuest.dataGuestAddress() - RawGuest.GUEST_BASE);
      guest.submit(BlkRequest.TYPE_OUT, 0, RawGuest.dataGuestAddress(), LENGTH, false);
      assertClosed(guest.frontEnd());
    }
  }

  @Test
  void shouldOutliveMemoryThatIsGoneAltogether() {
    try (RawGuest guest = running()) {
      guest.submit(BlkRequest.TYPE_OUT, 0, RawGuest.dataGuestAddress(), LENGTH, false);
      guest.cutMemory(0);
      guest.kick();
      assertClosed(guest.frontEnd());
    }
  }

  /** A front-end that asks without end and never reads the answers. */
  @Test
  void shouldCloseAFrontEndThatDoesNotReadItsReplies() {
    final byte[] message = header(VhostUserRequest.GET_FEATURES.code(), 1, 0);
    try (RawFrontEnd flood = connect()) {
      int sent = 0;
      while (flood.trySend(message, Duration.ofSeconds(5)) && sent < 1_000_000) {
        sent++;
      }
      assertClosed(flood);
    }
  }

  /** Front-ends that talk as fast as they can; the sound one's requests go on. */
  @Test
  void shouldServeOthersDuringAMessageFlood() {
    final List<Talker> talkers = new ArrayList<>();
    try {
      talkers.add(Talker.start(pair.socket("bad"), seed));
      talkers.add(Talker.start(pair.socket("packed"), seed));
      load.awaitIos(5000);
      talkers.forEach(talker -> talker.awaitAnswers(2000));
      load.awaitIos(5000);
      talkers.forEach(Talker::finish);
    } finally {
      talkers.forEach(Talker::close);
    }
  }

  /** A connection may wait to be accepted although its front-end is gone already. */
  private void awaitAccepted(final long connectionCount) {
    Waiting.until(
        connectionCount + " connections are accepted or refused",
        LIMIT,
        () -> connectionsSoFar() >= connectionCount);
  }

  private long connectionsSoFar() {
    return pair.counter("sessions_opened") + pair.counter("sessions_refused");
  }

  @Test
  void shouldSurviveAFloodOfConnections() {
    final long before = connectionsSoFar();
    final List<RawFrontEnd> frontEnds = new ArrayList<>();
    try {
      for (int i = 0; i < 200; i++) {
        frontEnds.add(connect());
      }
      load.awaitIos(2000);
      assertTrue(pair.counter("sessions_refused") > 0, "some were refused");
    } finally {
      frontEnds.forEach(RawFrontEnd::close);
    }
    awaitAccepted(before + 200);
  }

  /** Bytes without sense, and messages that begin well: no process may die of any. */
  @ParameterizedTest
  @EnumSource(Nonsense.class)
  void shouldSurviveNonsense(final Nonsense kind) {
    final long before = connectionsSoFar();
    for (int i = 0; i < 100; i++) {
      try (RawFrontEnd frontEnd = connect()) {
        final byte[] bytes = new byte[1 + random.nextInt(300)];
        random.nextBytes(bytes);
        if (kind == Nonsense.HEADERS) {
          final byte[] header = header(1 + random.nextInt(45), 1 + 8 * random.nextInt(2), 0);
          final int payload = Math.max(0, bytes.length - HEADER_LENGTH);
          System.arraycopy(header, 0, bytes, 0, Math.min(header.length, bytes.length));
          if (bytes.length >= HEADER_LENGTH) {
            ByteBuffer.wrap(bytes).order(ByteOrder.LITTLE_ENDIAN).putInt(8, payload);
          }
        }
        frontEnd.trySend(bytes, LIMIT);
      }
    }
    awaitAccepted(before + 100);
  }

  private enum Nonsense {
    BYTES,
    HEADERS
  }
}

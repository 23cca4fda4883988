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
import static io.virtnvme.slave.session.SessionFixture.inflight;
import static io.virtnvme.slave.session.SessionFixture.log;
import static io.virtnvme.slave.session.SessionFixture.memoryTable;
import static io.virtnvme.slave.session.SessionFixture.region;
import static io.virtnvme.slave.session.SessionFixture.u64;
import static io.virtnvme.slave.session.SessionFixture.vring;
import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNotNull;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.virtnvme.ipc.sys.Fds;
import io.virtnvme.ipc.sys.Memfd;
import io.virtnvme.ipc.sys.UnixSocket;
import io.virtnvme.ipc.vhostuser.ConfigSpace;
import io.virtnvme.ipc.vhostuser.VhostUserMessage;
import io.virtnvme.ipc.vhostuser.VhostUserProtocolFeature;
import io.virtnvme.ipc.vhostuser.VhostUserRequest;
import io.virtnvme.ipc.vhostuser.VringState;
import io.virtnvme.ipc.virtio.VirtioFeature;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.Random;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/**
 * Whatever a front-end sends: one answer that names the value, no descriptor left, rings intact.
 */
class HostileFrontEndTest {
  private static final long FEATURES =
      VirtioFeature.of(VirtioFeature.VERSION_1, VirtioFeature.PROTOCOL_FEATURES);

  @TempDir Path folder;
  private SessionFixture fixture;
  private final List<Integer> opened = new ArrayList<>();
  private int memory;
  private int event;
  private int file;
  private int socket;
  private Map<String, Integer> openFds;

  @BeforeEach
  void setUp() throws IOException {
    openFds = SessionFixture.openFds();
    memory = open(SessionFixture.memfd());
    event = open(SessionFixture.eventFd());
    final Path path = Files.write(folder.resolve("file"), new byte[8192]);
    file = open(Fds.open(path.toString(), Fds.O_RDWR, 0));
    final int[] pair = UnixSocket.streamPair();
    open(pair[0]);
    socket = open(pair[1]);
    fixture = new SessionFixture(folder);
    fixture.ok(
        u64(
            VhostUserRequest.SET_PROTOCOL_FEATURES,
            VhostUserMessage.u64(
                fixture.ok(bare(VhostUserRequest.GET_PROTOCOL_FEATURES)).reply())));
    fixture.ok(u64(VhostUserRequest.SET_FEATURES, FEATURES));
    fixture.ok(memoryTable(), memory);
  }

  @AfterEach
  void shouldLeaveNoDescriptorBehind() {
    fixture.close();
    opened.forEach(Fds::close);
    assertEquals(openFds, SessionFixture.openFds());
  }

  private int open(final int fd) {
    opened.add(fd);
    return fd;
  }

  private void setUpRing(final int index) {
    fixture.ok(vring(VhostUserRequest.SET_VRING_NUM, index, QUEUE_SIZE));
    fixture.ok(address(index));
    fixture.ok(u64(VhostUserRequest.SET_VRING_KICK, index), event);
    fixture.ok(vring(VhostUserRequest.SET_VRING_ENABLE, index, 1));
    assertNotNull(fixture.host.running.get(index));
  }

  /** Refused both ways: with a status where asked for one, else by closing; nothing changes. */
  private void refused(final String text, final byte[] message, final int... fds) {
    final byte[] record = fixture.session.record();
    final long version = fixture.session.version();
    final List<String> calls = List.copyOf(fixture.host.calls);
    final Map<String, Integer> before = SessionFixture.openFds();
    final Answer closed = fixture.send(message, fds);
    assertTrue(closed.reason().contains(text), () -> "not in: " + closed.reason());
    assertTrue(closed.close());
    assertNull(closed.reply());
    if (message.length >= VhostUserMessage.HEADER_LENGTH) {
      final Answer answer = fixture.send(acknowledged(message), fds);
      assertTrue(answer.reason().contains(text), () -> "not in: " + answer.reason());
      final VhostUserRequest request = VhostUserRequest.of(VhostUserMessage.requestCode(message));
      if (request == null || !request.name().startsWith("GET_")) {
        assertFalse(answer.close());
        assertEquals(1, VhostUserMessage.u64(answer.reply()));
      }
    }
    assertArrayEquals(record, fixture.session.record());
    assertEquals(version, fixture.session.version());
    assertEquals(version, fixture.segment.applying());
    assertEquals(calls, fixture.host.calls);
    assertEquals(before, SessionFixture.openFds());
  }

  @Test
  void shouldRefuseBrokenHeaders() {
    refused("shorter than its header: bytes=11", new byte[11]);
    final byte[] longer = u64(VhostUserRequest.SET_FEATURES, 0);
    refused("payload length: header=8 bytes=7", Arrays.copyOf(longer, longer.length - 1));
    final byte[] version = bare(VhostUserRequest.SET_OWNER);
    version[VhostUserMessage.FLAGS_OFFSET] = 2;
    refused("not a request of protocol version 1", version);
    final byte[] reply = bare(VhostUserRequest.SET_OWNER);
    reply[VhostUserMessage.FLAGS_OFFSET] = 5;
    refused("not a request of protocol version 1", reply);
    final byte[] unknown = bare(VhostUserRequest.SET_OWNER);
    unknown[0] = 99;
    refused("unknown request: code=99", unknown);
    unknown[3] = (byte) 0x80;
    refused("unknown request: code=-2147483549", unknown);
  }

  @Test
  void shouldRefuseEveryRequestOfWrongLength() {
    for (final VhostUserRequest request : VhostUserRequest.values()) {
      for (final int length : new int[] {3, 13, 100, 4000}) {
        final Answer answer = fixture.send(VhostUserMessage.request(request, 0, length));
        assertFalse(answer.reason().isEmpty(), () -> request + " of " + length);
      }
    }
  }

  @Test
  void shouldRefuseDescriptorsThatDoNotBelongToTheMessage() {
    for (final VhostUserRequest request : VhostUserRequest.values()) {
      final int[] many = new int[40];
      Arrays.fill(many, event);
      final Answer bare = fixture.send(VhostUserMessage.request(request, 0, 0), many);
      assertFalse(bare.reason().isEmpty(), request.name());
      final Answer number = fixture.send(VhostUserMessage.request(request, 0, 8), event, event);
      assertFalse(number.reason().isEmpty(), request.name());
    }
    refused("wrong number of descriptors: count=0 expected=1", memoryTable());
    refused(
        "wrong number of descriptors: count=0 expected=1", u64(VhostUserRequest.SET_VRING_KICK, 0));
    refused(
        "wrong number of descriptors: count=1 expected=0",
        u64(VhostUserRequest.SET_VRING_KICK, VringState.NO_FD_FLAG),
        event);
  }

  @Test
  void shouldRefuseDescriptorsOfTheWrongKind() {
    for (final VhostUserRequest request :
        List.of(
            VhostUserRequest.SET_VRING_KICK,
            VhostUserRequest.SET_VRING_CALL,
            VhostUserRequest.SET_VRING_ERR)) {
      refused("must be an eventfd or a pipe", u64(request, 0), file);
      refused("must be an eventfd or a pipe", u64(request, 0), memory);
      refused("must be an eventfd or a pipe", u64(request, 0), socket);
    }
    refused("must be a socket", bare(VhostUserRequest.SET_BACKEND_REQ_FD), event);
    refused("must be an eventfd or a pipe", bare(VhostUserRequest.SET_LOG_FD), file);
    refused("must be shared memory", memoryTable(), event);
    refused("must be shared memory", memoryTable(), socket);
    refused("must be shared memory", log(16, 0), event);
    refused(
        "must be shared memory",
        inflight(VhostUserRequest.SET_INFLIGHT_FD, 1 << 20, 0, 1, QUEUE_SIZE),
        socket);
  }

  @Test
  void shouldNotBlockOnAnEventThatIsFull() {
    final int full = open(SessionFixture.eventFd());
    Fds.setNonBlocking(full, false);
    fixture.ok(u64(VhostUserRequest.SET_VRING_CALL, 0), full);
    final long value = io.virtnvme.ipc.memory.Mem.allocate(8);
    io.virtnvme.ipc.memory.Mem.putLong(value, -2L);
    assertEquals(8, Fds.write(full, value, 8));
    io.virtnvme.ipc.memory.Mem.putLong(value, 1L);
    assertEquals(-11, Fds.write(full, value, 8));
    io.virtnvme.ipc.memory.Mem.free(value);
  }

  @Test
  void shouldRefuseMemoryOutOfRange() {
    refused("runs over the end of its file", memoryTable(0, MEMORY_BYTES + 1, 0, 0), memory);
    refused("runs over the end of its file", memoryTable(0, 0x1000, 0, MEMORY_BYTES), memory);
    refused("memory region out of range", memoryTable(0, 0, 0, 0), memory);
    refused("memory region out of range", memoryTable(0, -1, 0, 0), memory);
    refused("memory region out of range", memoryTable(0, 0x1000, 0, -4096), memory);
    refused(
        "memory region out of range", memoryTable(0, Long.MAX_VALUE, 0, Long.MAX_VALUE), memory);
    refused("end of the address space", memoryTable(-4096, 0x2000, 0, 0), memory);
    refused("end of the address space", memoryTable(0, 0x2000, -4096, 0), memory);
    refused(
        "memory regions overlap",
        memoryTable(0, 0x2000, 0, 0, 0x1000, 0x1000, 0x8000, 0),
        memory,
        memory);
    final byte[] many = memoryTable();
    many[VhostUserMessage.PAYLOAD_OFFSET] = 33;
    refused("too many memory regions: count=33", many, memory);
    many[VhostUserMessage.PAYLOAD_OFFSET + 3] = (byte) 0xFF;
    refused("too many memory regions: count=4278190113", many, memory);
    refused(
        "memory regions overlap",
        region(VhostUserRequest.ADD_MEM_REG, GUEST_BASE + 4096, 4096, 0, 0),
        memory);
    refused(
        "no such memory region",
        region(VhostUserRequest.REM_MEM_REG, GUEST_BASE, 4096, USER_BASE, 0));
    for (int i = 1; i < 32; i++) {
      fixture.ok(region(VhostUserRequest.ADD_MEM_REG, i * 0x1000L, 0x1000, i * 0x1000L, 0), memory);
    }
    refused(
        "all memory slots are in use",
        region(VhostUserRequest.ADD_MEM_REG, 0x100_0000, 0x1000, 0x100_0000, 0),
        memory);
  }

  @Test
  void shouldRefuseRingsOutOfRange() {
    for (final int size : new int[] {0, 3, 129, 1025, 2048, -1, Integer.MIN_VALUE}) {
      refused("ring 0: ", vring(VhostUserRequest.SET_VRING_NUM, 0, size));
    }
    for (final int index : new int[] {QUEUE_COUNT, 64, 256, -1, Integer.MIN_VALUE}) {
      refused("no such ring", vring(VhostUserRequest.SET_VRING_NUM, index, 128));
      refused("no such ring", vring(VhostUserRequest.SET_VRING_BASE, index, 0));
      refused("no such ring", vring(VhostUserRequest.GET_VRING_BASE, index, 0));
      refused("no such ring", vring(VhostUserRequest.SET_VRING_ENABLE, index, 1));
      refused("no such ring", address(index, 0, USER_BASE));
    }
    refused("no such ring", u64(VhostUserRequest.SET_VRING_KICK, QUEUE_COUNT), event);
    refused("unknown bits", u64(VhostUserRequest.SET_VRING_CALL, 0x200), event);
    refused("allowed 0..65535", vring(VhostUserRequest.SET_VRING_BASE, 0, 0x10000));
    refused("takes 0 or 1: num=2", vring(VhostUserRequest.SET_VRING_ENABLE, 0, 2));
    refused("is not in memory", address(0, 0, USER_BASE - 4096));
    refused("is not in memory", address(0, 0, USER_BASE + MEMORY_BYTES - 0x2000));
    refused("is not in memory", address(0, 0, -16));
    refused("descriptor table is not aligned to 16", address(0, 0, USER_BASE + 8));
    fixture.ok(vring(VhostUserRequest.SET_VRING_NUM, 0, 1024));
    refused("is not in memory", address(0, 0, USER_BASE + MEMORY_BYTES - 0x3000));
  }

  @Test
  void shouldRefuseARingThatGrowsOutOfMemory() {
    fixture.ok(address(0, 0, USER_BASE + MEMORY_BYTES - 0x3000));
    fixture.ok(u64(VhostUserRequest.SET_VRING_KICK, 0), event);
    fixture.ok(vring(VhostUserRequest.SET_VRING_ENABLE, 0, 1));
    refused(
        "descriptor table is not in memory: user address=0x7f00000fd000 length=16384",
        vring(VhostUserRequest.SET_VRING_NUM, 0, 1024));
    assertTrue(fixture.host.running.isEmpty());
  }

  @Test
  void shouldRefuseToMoveARunningRing() {
    setUpRing(0);
    refused("ring 0 runs, its size", vring(VhostUserRequest.SET_VRING_NUM, 0, 64));
    refused("ring 0 runs, its base", vring(VhostUserRequest.SET_VRING_BASE, 0, 7));
    refused("ring 0 runs, it cannot move", address(0, 0, USER_BASE + 0x4000));
    refused(
        "the layout of rings cannot change",
        u64(VhostUserRequest.SET_FEATURES, FEATURES | VirtioFeature.of(VirtioFeature.RING_PACKED)));
    refused(
        "cannot change while rings run",
        inflight(VhostUserRequest.GET_INFLIGHT_FD, 0, 0, 1, QUEUE_SIZE));
  }

  @Test
  void shouldRefuseFeaturesThatWereNotOffered() {
    refused("features were not offered", u64(VhostUserRequest.SET_FEATURES, 1));
    refused("not offered=0x8000000000000000", u64(VhostUserRequest.SET_FEATURES, 1L << 63));
    refused(
        "protocol features were not offered",
        u64(VhostUserRequest.SET_PROTOCOL_FEATURES, VhostUserProtocolFeature.PAGEFAULT.mask()));
    refused("not supported", vring(VhostUserRequest.SET_VRING_ENDIAN, 0, 1));
    refused("not supported", u64(VhostUserRequest.IOTLB_MSG, 1));
    refused("status out of range", u64(VhostUserRequest.SET_STATUS, 256));
    refused("status out of range", u64(VhostUserRequest.SET_STATUS, -1));
  }

  @Test
  void shouldRefuseInflightRegionsThatDoNotFit() {
    final int region = open(Memfd.create("virtnvme-test", 1 << 20));
    final VhostUserRequest set = VhostUserRequest.SET_INFLIGHT_FD;
    refused("too short", inflight(set, 100, 0, 1, QUEUE_SIZE), region);
    refused("runs over the end", inflight(set, 1 << 21, 0, 1, QUEUE_SIZE), region);
    refused("runs over the end", inflight(set, 1 << 20, 64, 1, QUEUE_SIZE), region);
    refused("not aligned to 8", inflight(set, 1 << 16, 4, 1, QUEUE_SIZE), region);
    refused("out of range", inflight(set, 1 << 16, -8, 1, QUEUE_SIZE), region);
    refused("out of range", inflight(set, Long.MAX_VALUE, 8, 1, QUEUE_SIZE), region);
    refused("too short", inflight(set, -1, 0, 1, QUEUE_SIZE), region);
    refused("queue size=0", inflight(set, 1 << 16, 0, 1, 0), region);
    refused("queue size=2048", inflight(set, 1 << 16, 0, 1, 2048), region);
    refused("queue count=5", inflight(set, 1 << 16, 0, 5, 1), region);
    refused("queue count=0", inflight(set, 1 << 16, 0, 0, 1), region);
    final VhostUserRequest get = VhostUserRequest.GET_INFLIGHT_FD;
    refused("queue count=65535", inflight(get, 0, 0, 65535, 128));
    refused("queue size=65535", inflight(get, 0, 0, 1, 65535));
    refused("out of range", inflight(get, 0, 0, 1, 0));
    fixture.ok(inflight(set, 1 << 16, 8, 1, 64), region);
    fixture.ok(vring(VhostUserRequest.SET_VRING_NUM, 0, QUEUE_SIZE));
    fixture.ok(address(0));
    fixture.ok(u64(VhostUserRequest.SET_VRING_KICK, 0), event);
    refused(
        "does not fit into the inflight region", vring(VhostUserRequest.SET_VRING_ENABLE, 0, 1));
  }

  @Test
  void shouldRefuseLogsThatDoNotFit() {
    final int logFd = open(Memfd.create("log", 4096));
    for (final long[] range :
        new long[][] {{0, 0}, {-1, 0}, {4097, 0}, {1, 4096}, {16, -1}, {8, Long.MAX_VALUE}}) {
      final Answer answer = fixture.send(log(range[0], range[1]), logFd);
      assertTrue(answer.close());
      assertTrue(answer.reason().startsWith("SET_LOG_BASE: dirty log"), answer.reason());
    }
  }

  @Test
  void shouldAnswerABadConfigRangeWithAnEmptyPayload() {
    for (final byte[] message :
        List.of(
            config(VhostUserRequest.GET_CONFIG, 256, 1, 0, 0),
            config(VhostUserRequest.GET_CONFIG, -1, 4, 0, 0),
            config(VhostUserRequest.GET_CONFIG, 0, 257, 0, 0),
            VhostUserMessage.request(VhostUserRequest.GET_CONFIG, 0, 4))) {
      final Answer answer = fixture.send(message);
      assertFalse(answer.close());
      assertEquals(0, VhostUserMessage.payloadLength(answer.reply()));
      assertTrue(answer.reason().startsWith("GET_CONFIG: config"), answer.reason());
    }
    final byte[] negative = config(VhostUserRequest.GET_CONFIG, 0, 4, 0, 0);
    ConfigSpace.put(negative, 0, -4, 0);
    assertFalse(fixture.send(negative).reason().isEmpty());
    refused("only the writeback byte", config(VhostUserRequest.SET_CONFIG, 0, 8, 0, 1));
    refused("only the writeback byte", config(VhostUserRequest.SET_CONFIG, 32, 2, 0, 1));
    refused(
        "unknown flags of SET_CONFIG: flags=0x2", config(VhostUserRequest.SET_CONFIG, 32, 1, 2, 1));
  }

  /** Random bytes in messages that look right; a seed replays a failure. */
  @Test
  void shouldSurviveAnythingAndServeOn() throws IOException {
    int accepted = 0;
    int started = 0;
    int stopped = 0;
    for (long seed = 0; seed < 40; seed++) {
      final Random random = new Random(seed);
      final SessionFixture fuzzed =
          new SessionFixture(Files.createDirectory(folder.resolve(Long.toString(seed))));
      for (int i = 0; i < 500; i++) {
        final byte[] message = randomMessage(random);
        final int[] fds = randomFds(random, message);
        final int answers = fuzzed.answers.size();
        fuzzed.host.deferred = random.nextInt(4) == 0;
        fuzzed.post(message, fds);
        fuzzed.host.runCallbacks();
        assertEquals(answers + 1, fuzzed.answers.size(), "seed " + seed + " message " + i);
        final Answer answer = fuzzed.answers.get(answers);
        assertEquals(answer.close(), answer.reply() == null && !answer.reason().isEmpty());
        assertArrayEquals(
            answer.record(), SessionRecord.encode(SessionRecord.decode(answer.record())));
        assertEquals(
            Arrays.stream(fuzzed.session.heldSlots()).boxed().toList(),
            List.copyOf(fuzzed.masterFds.keySet()));
        assertEquals(fuzzed.session.version(), fuzzed.segment.applying());
        fuzzed.host.running.values().forEach(FakeRingHost::assertUsable);
        accepted += answer.reason().isEmpty() ? 1 : 0;
        fuzzed.answers.clear();
      }
      final SessionFixture successor = fuzzed.successor();
      successor.session.startRings();
      assertEquals(fuzzed.host.running.keySet(), successor.host.running.keySet());
      started += (int) fuzzed.host.calls.stream().filter(call -> call.startsWith("start")).count();
      stopped += (int) fuzzed.host.calls.stream().filter(call -> call.startsWith("stop")).count();
      successor.close();
      fuzzed.close();
    }
    // It reaches what it is meant to reach.
    assertTrue(
        accepted > 1000 && started > 20 && stopped > 20, accepted + " " + started + " " + stopped);
  }

  private static byte[] randomMessage(final Random random) {
    final VhostUserRequest[] requests = VhostUserRequest.values();
    final VhostUserRequest request = requests[random.nextInt(requests.length)];
    final int ring = random.nextInt(QUEUE_COUNT + 1);
    final byte[] message =
        switch (random.nextInt(12)) {
          case 0 -> bare(request);
          case 1 -> u64(request, random.nextInt(512));
          case 2, 3 -> vring(request, ring, 1 << random.nextInt(12) >> 1);
          case 4, 5 -> address(ring, random.nextInt(2), USER_BASE + random.nextInt(40) * 0x1000L);
          case 6 -> memoryTable();
          case 7 ->
              region(
                  random.nextBoolean()
                      ? VhostUserRequest.ADD_MEM_REG
                      : VhostUserRequest.REM_MEM_REG,
                  GUEST_BASE + random.nextInt(4) * MEMORY_BYTES,
                  MEMORY_BYTES,
                  USER_BASE + random.nextInt(4) * MEMORY_BYTES,
                  random.nextInt(2) * 0x800L);
          case 8 ->
              inflight(
                  random.nextBoolean()
                      ? VhostUserRequest.GET_INFLIGHT_FD
                      : VhostUserRequest.SET_INFLIGHT_FD,
                  1 << 16,
                  0,
                  1 + random.nextInt(4),
                  1 << random.nextInt(9));
          case 9 ->
              u64(
                  random.nextBoolean()
                      ? VhostUserRequest.SET_VRING_KICK
                      : VhostUserRequest.SET_VRING_CALL,
                  ring | (random.nextBoolean() ? 0 : VringState.NO_FD_FLAG));
          case 10 ->
              u64(
                  VhostUserRequest.SET_FEATURES,
                  (FEATURES & random.nextLong())
                      | VirtioFeature.of(VirtioFeature.VERSION_1)
                      | (random.nextInt(8) == 0 ? VirtioFeature.of(VirtioFeature.RING_PACKED) : 0));
          default -> u64(VhostUserRequest.SET_PROTOCOL_FEATURES, 0x1b22b);
        };
    if (random.nextBoolean()) {
      message[VhostUserMessage.FLAGS_OFFSET] |= VhostUserMessage.NEED_REPLY_FLAG;
    }
    if (random.nextInt(4) == 0) {
      message[random.nextInt(message.length)] ^= (byte) (1 << random.nextInt(8));
    }
    return random.nextInt(20) == 0
        ? Arrays.copyOf(message, random.nextInt(message.length))
        : message;
  }

  private int[] randomFds(final Random random, final byte[] message) {
    if (random.nextInt(10) == 0) {
      final int[] fds = new int[random.nextInt(4)];
      for (int i = 0; i < fds.length; i++) {
        fds[i] = opened.get(random.nextInt(opened.size()));
      }
      return fds;
    }
    final VhostUserRequest request =
        message.length < VhostUserMessage.HEADER_LENGTH
            ? null
            : VhostUserRequest.of(VhostUserMessage.requestCode(message));
    if (request == null) {
      return new int[0];
    }
    return switch (request) {
      case SET_MEM_TABLE, ADD_MEM_REG, SET_LOG_BASE, SET_INFLIGHT_FD -> new int[] {memory};
      case SET_VRING_KICK, SET_VRING_CALL, SET_VRING_ERR ->
          message.length > 13 && (message[13] & 1) != 0 ? new int[0] : new int[] {event};
      case SET_LOG_FD -> new int[] {event};
      case SET_BACKEND_REQ_FD -> new int[] {socket};
      default -> new int[0];
    };
  }
}

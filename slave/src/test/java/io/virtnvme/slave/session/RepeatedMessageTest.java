package io.virtnvme.slave.session;

import static io.virtnvme.slave.session.SessionFixture.GUEST_BASE;
import static io.virtnvme.slave.session.SessionFixture.MEMORY_BYTES;
import static io.virtnvme.slave.session.SessionFixture.QUEUE_SIZE;
import static io.virtnvme.slave.session.SessionFixture.USER_BASE;
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
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.virtnvme.ipc.sys.Fds;
import io.virtnvme.ipc.sys.Memfd;
import io.virtnvme.ipc.sys.UnixSocket;
import io.virtnvme.ipc.vhostuser.VhostUserMessage;
import io.virtnvme.ipc.vhostuser.VhostUserRequest;
import io.virtnvme.ipc.vhostuser.VringState;
import io.virtnvme.ipc.virtio.VirtioFeature;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.EnumSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/**
 * A slave may die over a message at any point; its successor handles the same message again. That
 * must give the same record, the same reply, and rings that run the same.
 */
class RepeatedMessageTest {
  private static final long FEATURES =
      VirtioFeature.of(VirtioFeature.VERSION_1, VirtioFeature.PROTOCOL_FEATURES);
  private static final long MORE_GUEST = 0x2_0000_0000L;

  @TempDir Path folder;
  private final List<Integer> opened = new ArrayList<>();
  private int memory;
  private int event;
  private int socket;

  /** A message and the descriptors that go with it. */
  @SuppressWarnings("ArrayRecordComponent")
  private record Sent(byte[] message, List<Integer> fds) {
    int[] fdArray() {
      return fds.stream().mapToInt(fd -> fd).toArray();
    }
  }

  @BeforeEach
  void setUp() {
    memory = open(SessionFixture.memfd());
    event = open(SessionFixture.eventFd());
    final int[] pair = UnixSocket.streamPair();
    open(pair[0]);
    socket = open(pair[1]);
  }

  @AfterEach
  void tearDown() {
    opened.forEach(Fds::close);
  }

  private int open(final int fd) {
    opened.add(fd);
    return fd;
  }

  private static Sent sent(final byte[] message, final Integer... fds) {
    return new Sent(message, List.of(fds));
  }

  /** One of each request that can be accepted by a session without, with one, with two rings. */
  private List<Sent> messages() {
    final int log = open(Memfd.create("log", 1 << 16));
    final int more = open(SessionFixture.memfd());
    final int region = open(Memfd.createSealed("virtnvme-test", 1 << 16));
    return List.of(
        sent(bare(VhostUserRequest.GET_FEATURES)),
        sent(u64(VhostUserRequest.SET_FEATURES, FEATURES)),
        sent(
            u64(VhostUserRequest.SET_FEATURES, FEATURES | VirtioFeature.of(VirtioFeature.LOG_ALL))),
        sent(u64(VhostUserRequest.SET_FEATURES, VirtioFeature.of(VirtioFeature.VERSION_1))),
        sent(bare(VhostUserRequest.SET_OWNER)),
        sent(bare(VhostUserRequest.RESET_OWNER)),
        sent(memoryTable(), memory),
        sent(memoryTable(GUEST_BASE, 0x8000, USER_BASE, 0, MORE_GUEST, 0x8000, 0, 0), memory, more),
        sent(memoryTable(new long[0])),
        sent(log(0x8000, 0), log),
        sent(bare(VhostUserRequest.SET_LOG_FD), event),
        sent(vring(VhostUserRequest.SET_VRING_NUM, 1, QUEUE_SIZE)),
        sent(vring(VhostUserRequest.SET_VRING_NUM, 1, 2 * QUEUE_SIZE)),
        sent(address(1)),
        sent(address(1, 1, USER_BASE + 0x4000)),
        sent(vring(VhostUserRequest.SET_VRING_BASE, 1, 3)),
        sent(vring(VhostUserRequest.GET_VRING_BASE, 1, 0)),
        sent(u64(VhostUserRequest.SET_VRING_KICK, 1), event),
        sent(u64(VhostUserRequest.SET_VRING_KICK, VringState.NO_FD_FLAG | 1)),
        sent(u64(VhostUserRequest.SET_VRING_CALL, 1), event),
        sent(u64(VhostUserRequest.SET_VRING_CALL, VringState.NO_FD_FLAG | 1)),
        sent(u64(VhostUserRequest.SET_VRING_ERR, 1), event),
        sent(bare(VhostUserRequest.GET_PROTOCOL_FEATURES)),
        sent(u64(VhostUserRequest.SET_PROTOCOL_FEATURES, 0x1b22b)),
        sent(bare(VhostUserRequest.GET_QUEUE_NUM)),
        sent(vring(VhostUserRequest.SET_VRING_ENABLE, 1, 1)),
        sent(vring(VhostUserRequest.SET_VRING_ENABLE, 1, 0)),
        sent(bare(VhostUserRequest.SET_BACKEND_REQ_FD), socket),
        sent(config(VhostUserRequest.GET_CONFIG, 0, 60, 0, 0)),
        sent(config(VhostUserRequest.SET_CONFIG, 32, 1, 0, 0)),
        sent(inflight(VhostUserRequest.GET_INFLIGHT_FD, 0, 0, 2, QUEUE_SIZE)),
        sent(inflight(VhostUserRequest.SET_INFLIGHT_FD, 1 << 15, 64, 2, QUEUE_SIZE), region),
        sent(bare(VhostUserRequest.RESET_DEVICE)),
        sent(bare(VhostUserRequest.GET_MAX_MEM_SLOTS)),
        sent(region(VhostUserRequest.ADD_MEM_REG, MORE_GUEST, 0x8000, 0, 0x1000), more),
        sent(region(VhostUserRequest.ADD_MEM_REG, GUEST_BASE, MEMORY_BYTES, USER_BASE, 0), memory),
        sent(region(VhostUserRequest.REM_MEM_REG, MORE_GUEST, 0x8000, 0, 0)),
        sent(region(VhostUserRequest.REM_MEM_REG, GUEST_BASE, MEMORY_BYTES, USER_BASE, 0), more),
        sent(u64(VhostUserRequest.SET_STATUS, 15)),
        sent(u64(VhostUserRequest.SET_STATUS, 0)),
        sent(bare(VhostUserRequest.GET_STATUS)),
        sent(vring(VhostUserRequest.SET_VRING_ENDIAN, 0, 0)));
  }

  /**
   * Sessions to begin with: untouched, negotiated, memory only, rings half set up, rings running.
   */
  private SessionFixture begin(final int stage) {
    final SessionFixture fixture = new SessionFixture(folder);
    if (stage > 0) {
      fixture.ok(u64(VhostUserRequest.SET_PROTOCOL_FEATURES, 0x1b22b));
      fixture.ok(u64(VhostUserRequest.SET_FEATURES, FEATURES));
    }
    if (stage > 1) {
      fixture.ok(memoryTable(), memory);
    }
    for (int ring = 0; stage > 2 && ring < 2; ring++) {
      fixture.ok(vring(VhostUserRequest.SET_VRING_NUM, ring, QUEUE_SIZE));
      fixture.ok(address(ring));
      fixture.ok(u64(VhostUserRequest.SET_VRING_CALL, ring), event);
    }
    for (int ring = 0; stage > 3 && ring < 2; ring++) {
      fixture.ok(u64(VhostUserRequest.SET_VRING_KICK, ring), event);
      fixture.ok(vring(VhostUserRequest.SET_VRING_ENABLE, ring, 1));
    }
    return fixture;
  }

  @Test
  void shouldEndWhereTheFirstTimeEndedWhenHandledAgain() {
    final Set<VhostUserRequest> seen = EnumSet.noneOf(VhostUserRequest.class);
    final Map<String, Integer> before = SessionFixture.openFds();
    for (int stage = 0; stage <= 4; stage++) {
      for (final Sent sent : messages()) {
        final SessionFixture origin = begin(stage);
        final SessionFixture first = origin.successor();
        final SessionFixture second = origin.successor();
        first.host.bases.put(1, 42);
        second.host.bases.put(1, 42);
        final Answer answer = first.send(sent.message(), sent.fdArray());
        final long version = first.session.version();
        // The slave died after it had done everything and before anybody knew.
        assertSameOutcome(answer, second.send(sent.message(), sent.fdArray()));
        assertEquals(version, second.session.version());
        assertSameRings(first, second);
        // And the same once more, from the state that it led to.
        final Answer again = first.send(sent.message(), sent.fdArray());
        assertSameOutcome(answer, again);
        assertSameRings(first, second);
        // What the master keeps is enough for the next one.
        final SessionFixture next = first.successor();
        next.session.startRings();
        assertSameRings(first, next);
        if (!answer.close()) {
          seen.add(VhostUserRequest.of(VhostUserMessage.requestCode(sent.message())));
        }
        next.close();
        first.close();
        second.close();
        origin.close();
      }
    }
    assertEquals(29, seen.size(), () -> "accepted: " + seen);
    final Map<String, Integer> after = SessionFixture.openFds();
    opened.forEach(Fds::close);
    opened.clear();
    assertTrue(after.size() >= before.size());
    assertEquals(Map.of(), leftOver());
  }

  private static Map<String, Integer> leftOver() {
    final Map<String, Integer> open = new TreeMap<>(SessionFixture.openFds());
    open.keySet().removeIf(name -> !name.startsWith("/memfd:"));
    return open;
  }

  private static void assertSameOutcome(final Answer expected, final Answer actual) {
    assertEquals(expected.close(), actual.close());
    assertEquals(expected.reason(), actual.reason());
    assertArrayEquals(expected.reply(), actual.reply());
    assertEquals(expected.replyFds().length, actual.replyFds().length);
    assertArrayEquals(expected.record(), actual.record());
  }

  private static void assertSameRings(final SessionFixture expected, final SessionFixture actual) {
    assertEquals(expected.host.running.keySet(), actual.host.running.keySet());
    expected.host.running.forEach(
        (index, setup) -> {
          FakeRingHost.assertUsable(setup);
          FakeRingHost.assertUsable(actual.host.running.get(index));
          assertEquals(setup.base(), actual.host.running.get(index).base());
          assertEquals(setup.features(), actual.host.running.get(index).features());
          assertEquals(setup.queueSize(), actual.host.running.get(index).queueSize());
        });
    assertEquals(expected.masterFds.keySet(), actual.masterFds.keySet());
  }
}

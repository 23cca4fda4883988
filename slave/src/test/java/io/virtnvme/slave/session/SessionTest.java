package io.virtnvme.slave.session;

import static io.virtnvme.slave.session.SessionFixture.QUEUE_SIZE;
import static io.virtnvme.slave.session.SessionFixture.address;
import static io.virtnvme.slave.session.SessionFixture.bare;
import static io.virtnvme.slave.session.SessionFixture.eventFd;
import static io.virtnvme.slave.session.SessionFixture.memfd;
import static io.virtnvme.slave.session.SessionFixture.memoryTable;
import static io.virtnvme.slave.session.SessionFixture.u64;
import static io.virtnvme.slave.session.SessionFixture.vring;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNotNull;

import io.virtnvme.ipc.sys.Fds;
import io.virtnvme.ipc.sys.Mapping;
import io.virtnvme.ipc.vhostuser.VhostUserMessage;
import io.virtnvme.ipc.vhostuser.VhostUserRequest;
import io.virtnvme.ipc.virtio.BlkFeature;
import io.virtnvme.ipc.virtio.VirtioFeature;
import io.virtnvme.slave.virtqueue.QueueSetup;
import java.nio.file.Path;
import java.util.Map;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.io.TempDir;

/**
 * A session with a front-end that does what a test says. Every test leaves as many descriptors open
 * as it found.
 */
abstract class SessionTest {
  static final long SPLIT =
      VirtioFeature.of(
          VirtioFeature.VERSION_1,
          VirtioFeature.RING_EVENT_IDX,
          VirtioFeature.PROTOCOL_FEATURES,
          BlkFeature.FLUSH);
  static final long PACKED = SPLIT | VirtioFeature.of(VirtioFeature.RING_PACKED);
  static final long LOGGED = SPLIT | VirtioFeature.of(VirtioFeature.LOG_ALL);

  @TempDir Path folder;
  SessionFixture fixture;
  int memory;
  int kick;
  int call;
  Mapping ours;
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

  final void negotiate(final long features) {
    final byte[] offered = fixture.ok(bare(VhostUserRequest.GET_PROTOCOL_FEATURES)).reply();
    fixture.ok(u64(VhostUserRequest.SET_PROTOCOL_FEATURES, VhostUserMessage.u64(offered)));
    fixture.ok(bare(VhostUserRequest.SET_OWNER));
    fixture.ok(u64(VhostUserRequest.SET_FEATURES, features));
  }

  final void setUpRing(final int index) {
    fixture.ok(vring(VhostUserRequest.SET_VRING_NUM, index, QUEUE_SIZE));
    fixture.ok(vring(VhostUserRequest.SET_VRING_BASE, index, 0));
    fixture.ok(address(index));
    fixture.ok(u64(VhostUserRequest.SET_VRING_KICK, index), kick);
    fixture.ok(u64(VhostUserRequest.SET_VRING_CALL, index), call);
    fixture.ok(vring(VhostUserRequest.SET_VRING_ENABLE, index, 1));
  }

  final void start(final long features, final int ringCount) {
    negotiate(features);
    fixture.ok(memoryTable(), memory);
    for (int i = 0; i < ringCount; i++) {
      setUpRing(i);
    }
  }

  final QueueSetup running(final int index) {
    final QueueSetup setup = fixture.host.running.get(index);
    assertNotNull(setup, "ring " + index + " does not run");
    FakeRingHost.assertUsable(setup);
    return setup;
  }
}

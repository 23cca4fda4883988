package io.virtnvme.slave.session;

import static io.virtnvme.slave.session.SessionFixture.QUEUE_COUNT;
import static io.virtnvme.slave.session.SessionFixture.acknowledged;
import static io.virtnvme.slave.session.SessionFixture.bare;
import static io.virtnvme.slave.session.SessionFixture.config;
import static io.virtnvme.slave.session.SessionFixture.u64;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNotNull;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.virtnvme.ipc.memory.Mem;
import io.virtnvme.ipc.sys.Fds;
import io.virtnvme.ipc.sys.UnixSocket;
import io.virtnvme.ipc.vhostuser.ConfigSpace;
import io.virtnvme.ipc.vhostuser.VhostUserMessage;
import io.virtnvme.ipc.vhostuser.VhostUserProtocolFeature;
import io.virtnvme.ipc.vhostuser.VhostUserRequest;
import io.virtnvme.ipc.virtio.BlkFeature;
import io.virtnvme.ipc.virtio.VirtioFeature;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.Arrays;
import java.util.List;
import org.junit.jupiter.api.Test;

/** What a front-end is told of the disk, and what it may choose. */
class SessionDiskTest extends SessionTest {
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
    fixture.session.onResize(1, 4096);
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
      fixture.session.onResize(1, i + 1);
    }
    Fds.close(channel[0]);
    fixture.session.onResize(1, 1);
    Fds.close(channel[1]);
  }

  @Test
  void shouldNotTellOfAResizeFromAStandby() {
    start(SPLIT, 1);
    final int[] channel = UnixSocket.streamPair();
    fixture.ok(bare(VhostUserRequest.SET_BACKEND_REQ_FD), channel[1]);
    final SessionFixture standby = fixture.successor();
    standby.session.onResize(1, 4096);
    assertFalse(Fds.awaitReadable(channel[0], 0));
    standby.close();
    Fds.close(channel[0]);
    Fds.close(channel[1]);
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

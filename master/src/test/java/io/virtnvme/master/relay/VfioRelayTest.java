package io.virtnvme.master.relay;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.virtnvme.ipc.memory.LittleEndian;
import io.virtnvme.ipc.sys.EventFd;
import io.virtnvme.ipc.sys.Fds;
import io.virtnvme.ipc.vfiouser.VfioUserCommand;
import io.virtnvme.ipc.vfiouser.VfioUserMessage;
import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** The second framing: a header of 16 bytes whose size counts itself. */
class VfioRelayTest {
  private static final String TRADDR = "/run/disk1";

  @TempDir Path directory;
  private RelayFixture fixture;

  @BeforeEach
  void setUp() throws IOException {
    fixture = new RelayFixture(directory);
  }

  @AfterEach
  void tearDown() {
    fixture.close();
  }

  private static byte[] message(final int id, final int payloadLength) {
    return VfioUserMessage.command(VfioUserCommand.REGION_WRITE, id, 0, payloadLength);
  }

  private List<FrontEndSession> sessions() {
    return new ArrayList<>(fixture.relay.sessions());
  }

  @Test
  void shouldWaitForTheWholeMessageByteByByte() {
    try (FrontEndPeer guest = fixture.connectNvme(TRADDR)) {
      final byte[] whole = message(1, 20);
      for (final byte one : Arrays.copyOf(whole, whole.length - 1)) {
        guest.send(new byte[] {one});
        fixture.step();
        assertTrue(fixture.relayed.isEmpty());
      }
      guest.send(new byte[] {whole[whole.length - 1]});
      fixture.step();
      assertArrayEquals(whole, RelayFixture.bytesOf(sessions().get(0)));
    }
  }

  @Test
  void shouldAnswerPipelinedMessagesOneAfterTheOtherEachOnce() {
    try (FrontEndPeer guest = fixture.connectNvme(TRADDR)) {
      final byte[] all = new byte[3 * 16 + 8 + 4];
      final byte[][] parts = {message(1, 8), message(2, 0), message(3, 4)};
      int at = 0;
      for (final byte[] part : parts) {
        System.arraycopy(part, 0, all, at, part.length);
        at += part.length;
      }
      guest.send(all);
      for (int i = 0; i < parts.length; i++) {
        fixture.step();
        assertEquals(i + 1, fixture.relayed.size(), "one at a time");
        final FrontEndSession session = sessions().get(0);
        assertArrayEquals(parts[i], RelayFixture.bytesOf(session));
        // The second wants no reply.
        final byte[] reply = i == 1 ? null : VfioUserMessage.reply(parts[i], 0);
        fixture.reply(session, i + 1, reply);
      }
      assertEquals(1, VfioUserMessage.id(guest.receive(16)));
      assertEquals(3, VfioUserMessage.id(guest.receive(16)));
      assertTrue(guest.isSilent(20));
      assertEquals(3, fixture.counters.get(MasterCounter.MESSAGES_SETTLED));
    }
  }

  @Test
  void shouldGiveDescriptorsToTheMessageThatTheyCameWith() {
    final int event = EventFd.create();
    try (FrontEndPeer guest = fixture.connectNvme(TRADDR)) {
      guest.send(message(1, 4));
      guest.send(message(2, 4), event);
      guest.send(message(3, 4));
      final int[] counts = {0, 1, 0};
      for (int i = 0; i < counts.length; i++) {
        fixture.step();
        final FrontEndSession session = sessions().get(0);
        assertEquals(i + 1, VfioUserMessage.id(RelayFixture.bytesOf(session)));
        assertEquals(counts[i], session.message().fds().length, "message " + (i + 1));
        fixture.reply(session, i + 1, null);
      }
    }
    Fds.close(event);
  }

  @Test
  void shouldCloseASessionWhoseMessageHasAnImpossibleLength() {
    for (final int size : new int[] {0, 15, 64 * 1024 + 1, Integer.MAX_VALUE, -1}) {
      try (FrontEndPeer guest = fixture.connectNvme(TRADDR + size)) {
        final byte[] message = message(1, 0);
        LittleEndian.putInt(message, VfioUserMessage.SIZE_OFFSET, size);
        guest.send(message);
        fixture.step();
        assertTrue(guest.isAtEnd(), "size=" + size);
      }
    }
    assertEquals(5, fixture.counters.get(MasterCounter.MESSAGE_VIOLATIONS));
    assertTrue(fixture.relayed.isEmpty());
  }

  @Test
  void shouldTakeTheLongestMessageThereIs() throws FrontEndException {
    assertEquals(64 * 1024, Framing.VFIO_USER.messageLength(64 * 1024));
    assertEquals(16, Framing.VFIO_USER.messageLength(16));
    assertEquals(12, Framing.VHOST_USER.messageLength(0));
    assertEquals(64 * 1024, Framing.VHOST_USER.messageLength(64 * 1024 - 12));
    assertThrows(FrontEndException.class, () -> Framing.VHOST_USER.messageLength(64 * 1024 - 11));
    assertThrows(FrontEndException.class, () -> Framing.VHOST_USER.messageLength(-1));
  }

  /** QEMU started again is faster than the news that the one before is gone. */
  @Test
  void shouldLetASecondFrontEndWaitUntilTheFirstIsOver() {
    try (FrontEndPeer first = fixture.connectNvme(TRADDR);
        FrontEndPeer second = fixture.connectNvme(TRADDR);
        FrontEndPeer third = fixture.connectNvme(TRADDR)) {
      assertTrue(third.isAtEnd(), "refused");
      second.send(message(9, 0));
      first.send(message(1, 0));
      fixture.step();
      assertEquals(List.of(sessions().get(0)), fixture.relayed);
      assertEquals(SessionState.HELD, sessions().get(1).state());
      assertTrue(second.isSilent(0));

      final FrontEndSession ended = sessions().get(0);
      fixture.relay.close(ended, "the front-end hung up");
      fixture.step();
      assertEquals(1, fixture.relayed.size(), "slaves have yet to forget the first");
      fixture.relay.onForgotten(ended);
      fixture.step();
      assertEquals(2, fixture.relayed.size());
      assertEquals(9, VfioUserMessage.id(RelayFixture.bytesOf(sessions().get(0))));
      assertFalse(sessions().get(0).equals(ended));
    }
  }
}

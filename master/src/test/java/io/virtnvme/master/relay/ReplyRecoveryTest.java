package io.virtnvme.master.relay;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.virtnvme.ipc.memory.Mem;
import io.virtnvme.ipc.segment.SessionSegment;
import io.virtnvme.ipc.sys.FdMessage;
import io.virtnvme.ipc.sys.Fds;
import io.virtnvme.ipc.sys.UnixSocket;
import java.io.IOException;
import java.nio.file.Path;
import java.util.Map;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class ReplyRecoveryTest {
  private static final long SESSION_ID = 3;
  private static final byte[] EARLIER_MESSAGE = FrontEndPeer.message(10, (byte) 9);
  private static final byte[] MESSAGE = FrontEndPeer.message(11, (byte) 1, (byte) 2);
  private static final byte[] NEXT_MESSAGE = FrontEndPeer.message(12);
  private static final byte[] REPLY = {42};

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

  @Test
  void shouldHaveExactlyOneRowForEveryCombination() {
    for (final ReplyRecovery.Pending pending : ReplyRecovery.Pending.values()) {
      for (final boolean replied : new boolean[] {false, true}) {
        for (final boolean taken : new boolean[] {false, true}) {
          assertEquals(
              1,
              ReplyRecovery.ROWS.stream()
                  .filter(row -> row.matches(pending, replied, taken))
                  .count(),
              pending + " " + replied + " " + taken);
        }
      }
    }
  }

  /**
   * A master is killed after a step of message 2, with what message 1 left in the segment; the
   * front-end must see one reply to each, and all messages must be settled once.
   */
  @ParameterizedTest
  @CsvSource({
    "1, true, IDLE_OR_ASKED",
    "2, true, IDLE_OR_ASKED",
    "3, true, ANSWERED",
    "4, true, REPLIED",
    "5, true, TAKEN",
    "6, true, IDLE_OR_ASKED",
    "1, false, IDLE_OR_ASKED",
    "3, false, ANSWERED",
    "5, false, TAKEN_SILENTLY",
    "6, false, IDLE_OR_ASKED",
  })
  void shouldAnswerOnceWhereverTheMasterWasKilled(
      final int lastStep, final boolean hasReply, final String label) {
    final int[] pair = UnixSocket.streamPair();
    try (FrontEndPeer guest = new FrontEndPeer(pair[0]);
        SessionSegment segment = SessionSegment.create(fixture.segments, SESSION_ID)) {
      playWholeMessage(guest, segment, pair[1], 1);
      guest.send(MESSAGE);
      guest.send(NEXT_MESSAGE);
      playDeadMaster(segment, pair[1], 2, MESSAGE, lastStep, hasReply);
      assertEquals(label, ReplyRecovery.row(segment).label());

      final FrontEndSession session = adopt(pair[1]);
      fixture.relay.resume(session);
      fixture.step();
      if (lastStep < 5) {
        assertArrayEquals(MESSAGE, RelayFixture.bytesOf(session));
        fixture.reply(session, 2, hasReply ? REPLY : null);
        fixture.step();
      }
      assertArrayEquals(NEXT_MESSAGE, RelayFixture.bytesOf(session));
      assertEquals(3, session.sequence());
      fixture.reply(session, 3, new byte[] {77});
      if (hasReply) {
        assertArrayEquals(REPLY, guest.receive(1));
      }
      assertArrayEquals(new byte[] {77}, guest.receive(1));
      assertTrue(guest.isSilent(10));
      assertEquals(3, segment.settledSequence());
    }
  }

  /** Until the last store of step 3 nothing of the message before may be taken for this one's. */
  @Test
  void shouldTakeNothingOfTheMessageBeforeWhereverItIsKilledWhileItBeginsToSettle() {
    final int[] pair = UnixSocket.streamPair();
    try (FrontEndPeer guest = new FrontEndPeer(pair[0]);
        SessionSegment segment = SessionSegment.create(fixture.segments, SESSION_ID)) {
      long sequence = 1;
      int stores = 0;
      boolean killed = true;
      while (killed) {
        playWholeMessage(guest, segment, pair[1], sequence);
        sequence++;
        killed = isKilledWhileItBeginsToSettle(segment, sequence, stores);
        assertEquals(
            killed ? "IDLE_OR_ASKED" : "ANSWERED",
            ReplyRecovery.row(segment).label(),
            "killed after stores: " + stores);
        stores++;
      }
      // The witnesses, and the number of the message.
      assertEquals(1 + SessionSegment.TAKEN_WITNESS_COUNT + 1, stores - 1);
    } finally {
      Fds.close(pair[1]);
    }
  }

  private static final class Killed extends RuntimeException {
    private static final long serialVersionUID = 1L;
  }

  /** Killed after so many stores; false if there are no more. */
  private static boolean isKilledWhileItBeginsToSettle(
      final SessionSegment segment, final long sequence, final int storesLeft) {
    final int[] left = {storesLeft};
    Mem.listener(
        (address, lengthBytes) -> {
          if (left[0]-- == 0) {
            throw new Killed();
          }
        });
    try {
      segment.beginSettling(sequence);
      return false;
    } catch (final Killed e) {
      return true;
    } finally {
      Mem.listener(null);
    }
  }

  @Test
  void shouldSurviveASecondDeathWhileTheReplyIsOut() {
    final int[] pair = UnixSocket.streamPair();
    try (FrontEndPeer guest = new FrontEndPeer(pair[0]);
        SessionSegment segment = SessionSegment.create(fixture.segments, SESSION_ID)) {
      guest.send(MESSAGE);
      playDeadMaster(segment, pair[1], 1, MESSAGE, 4, true);
      final FrontEndSession session = adopt(Fds.duplicate(pair[1]));
      fixture.relay.resume(session);
      fixture.step();
      // The second master dies here: nothing of its own is in the segment.
      assertEquals("REPLIED", ReplyRecovery.row(segment).label());
      Fds.close(pair[1]);
    }
  }

  @Test
  void shouldCloseASessionWhoseSegmentWasOverwritten() {
    final int[] pair = UnixSocket.streamPair();
    try (FrontEndPeer guest = new FrontEndPeer(pair[0]);
        SessionSegment segment = SessionSegment.create(fixture.segments, SESSION_ID)) {
      segment.beginSettling(9);
      final FrontEndSession session = adopt(pair[1]);
      fixture.relay.resume(session);
      assertTrue(guest.isAtEnd());
    }
  }

  @Test
  void shouldKeepTheNewestRecordOfThoseHandedBack() {
    final int[] pair = UnixSocket.streamPair();
    try (FrontEndPeer guest = new FrontEndPeer(pair[0]);
        SessionSegment segment = SessionSegment.create(fixture.segments, SESSION_ID)) {
      final int standbys = Fds.duplicate(pair[1]);
      final FrontEndSession session =
          fixture.relay.adopt(
              SESSION_ID,
              RelayFixture.description("c0"),
              standbys,
              4,
              new byte[] {4},
              Map.of(1, Fds.duplicate(pair[1])));
      fixture.relay.adopt(
          SESSION_ID,
          RelayFixture.description("c0"),
          pair[1],
          5,
          new byte[] {5},
          Map.of(1, Fds.duplicate(standbys), 2, Fds.duplicate(standbys)));
      fixture.relay.adopt(
          SESSION_ID,
          RelayFixture.description("c0"),
          Fds.duplicate(standbys),
          3,
          new byte[] {3},
          Map.of());
      assertEquals(5, session.recordVersion());
      assertEquals(2, session.slotCount());
      assertEquals(SessionState.ADOPTING, session.state());
      assertEquals(0, segment.settledSequence());
      guest.send(MESSAGE);
      fixture.step();
      assertTrue(fixture.relayed.isEmpty(), "not before the owner has spoken");
    }
  }

  private FrontEndSession adopt(final int fd) {
    return fixture.relay.adopt(
        SESSION_ID, RelayFixture.description("c0"), fd, 1, new byte[] {1}, Map.of());
  }

  /** A message that was answered, taken and settled. */
  private static void playWholeMessage(
      final FrontEndPeer guest, final SessionSegment segment, final int fd, final long sequence) {
    guest.send(EARLIER_MESSAGE);
    playDeadMaster(segment, fd, sequence, EARLIER_MESSAGE, 6, true);
    assertArrayEquals(REPLY, guest.receive(1));
  }

  private static void playDeadMaster(
      final SessionSegment segment,
      final int fd,
      final long sequence,
      final byte[] message,
      final int lastStep,
      final boolean hasReply) {
    final long data = Mem.allocate(256);
    try (FdMessage socket = new FdMessage()) {
      if (lastStep >= 3) {
        segment.beginSettling(sequence);
      }
      if (lastStep >= 4 && hasReply) {
        Mem.copyIn(REPLY, 0, data, REPLY.length);
        assertEquals(1, socket.sendWitnessed(fd, segment.replyWitness(), data, 1, new int[0], 0));
      }
      if (lastStep >= 5) {
        final int[] pieces = {message.length};
        assertEquals(
            message.length, FdMessage.takeWitnessed(fd, segment.takenWitnesses(), data, pieces, 1));
      }
      if (lastStep >= 6) {
        segment.settled(sequence);
      }
    } finally {
      Mem.free(data);
    }
  }
}

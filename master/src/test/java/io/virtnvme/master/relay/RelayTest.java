package io.virtnvme.master.relay;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertSame;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.virtnvme.ipc.relay.RelayFormatException;
import io.virtnvme.ipc.sys.EventFd;
import io.virtnvme.ipc.sys.Fds;
import io.virtnvme.ipc.sys.Memfd;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.stream.Stream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class RelayTest {
  @TempDir Path directory;
  private RelayFixture fixture;
  private long fdsBefore;

  @BeforeEach
  void setUp() throws IOException {
    fdsBefore = openFds();
    fixture = new RelayFixture(directory);
  }

  @AfterEach
  void tearDown() throws IOException {
    fixture.close();
    assertEquals(fdsBefore, openFds(), "descriptors leaked");
  }

  private static long openFds() throws IOException {
    // The class loader opens files when it likes.
    try (Stream<Path> fds = Files.list(Path.of("/proc/self/fd"))) {
      return fds.filter(RelayTest::isOurs).count();
    }
  }

  private static boolean isOurs(final Path fd) {
    try {
      final String target = Files.readSymbolicLink(fd).toString();
      return target.startsWith("socket:") || target.contains("memfd:") || target.contains("event");
    } catch (final IOException e) {
      return false;
    }
  }

  private FrontEndSession newest() {
    FrontEndSession last = null;
    for (final FrontEndSession session : fixture.relay.sessions()) {
      last = session;
    }
    return last;
  }

  @Test
  void shouldRelayOneMessageAndReplyOnce() {
    try (FrontEndPeer guest = fixture.connect("c0")) {
      final byte[] first = FrontEndPeer.message(1, (byte) 7);
      final byte[] second = FrontEndPeer.message(2);
      guest.send(first);
      guest.send(second);
      fixture.step();
      final FrontEndSession session = newest();
      assertEquals(List.of(session), fixture.relayed);
      assertArrayEquals(first, RelayFixture.bytesOf(session));
      fixture.reply(session, 1, new byte[] {5, 6});
      assertArrayEquals(new byte[] {5, 6}, guest.receive(2));
      fixture.step();
      assertArrayEquals(second, RelayFixture.bytesOf(session));
      fixture.reply(session, 2, null);
      fixture.step();
      assertTrue(guest.isSilent(20));
      assertEquals(2, session.segment().settledSequence());
      assertEquals(2, session.recordVersion());
      assertEquals(2, fixture.counters.get(MasterCounter.MESSAGES_SETTLED));
    }
  }

  /** A master that dies between the two leaves nobody behind who knows less than the front-end. */
  @Test
  void shouldShareTheNewRecordBeforeTheReply() {
    try (FrontEndPeer guest = fixture.connect("c0")) {
      guest.send(FrontEndPeer.message(1));
      fixture.step();
      final FrontEndSession session = newest();
      final long[] sharedVersion = new long[1];
      fixture.onShareOwners =
          () -> {
            assertTrue(guest.isSilent(0), "the reply was sent before");
            sharedVersion[0] = session.recordVersion();
          };
      fixture.reply(session, 5, new byte[] {6});
      assertArrayEquals(new byte[] {6}, guest.receive(1));
      assertEquals(5, sharedVersion[0]);
    }
  }

  @Test
  void shouldNotReplyWhileACopyOfTheRecordWaits() {
    try (FrontEndPeer guest = fixture.connect("c0")) {
      guest.send(FrontEndPeer.message(1));
      guest.send(FrontEndPeer.message(2));
      fixture.step();
      final FrontEndSession session = newest();
      fixture.standbysReceive = false;
      fixture.reply(session, 5, new byte[] {6});
      fixture.step();
      assertTrue(guest.isSilent(0));
      assertEquals(0, session.segment().pendingSequence());
      assertFalse(fixture.relay.doWork(), "it spins");
      fixture.standbysReceive = true;
      fixture.step();
      assertArrayEquals(new byte[] {6}, guest.receive(1));
      assertArrayEquals(FrontEndPeer.message(2), RelayFixture.bytesOf(session));
    }
  }

  @Test
  void shouldReleaseAnAnswerWhoseFrontEndLeavesBeforeItHearsOfIt() {
    fixture.slavesKnowSessions = false;
    try (FrontEndPeer guest = fixture.connect("c0")) {
      guest.send(FrontEndPeer.message(1));
      fixture.step();
      fixture.standbysReceive = false;
      final FrontEndSession session = newest();
      final int event = EventFd.create();
      fixture.answer(
          session,
          1,
          writer ->
              AnswerMaker.write(
                  writer,
                  false,
                  new byte[] {1},
                  new int[] {event},
                  1,
                  new byte[0],
                  new int[0],
                  new int[0]));
      Fds.close(event);
      assertEquals(SessionState.ANSWERED, session.state());
    }
    fixture.step();
    assertTrue(fixture.relay.sessions().isEmpty());
  }

  @Test
  void shouldWaitForTheRestOfAMessageWithoutSpinning() {
    try (FrontEndPeer guest = fixture.connect("c0")) {
      final byte[] whole = FrontEndPeer.message(3, new byte[100]);
      for (final byte one : Arrays.copyOf(whole, whole.length - 1)) {
        guest.send(new byte[] {one});
        fixture.step();
        assertTrue(fixture.relayed.isEmpty());
      }
      assertEquals(0, fixture.loop.doWork(false));
      assertFalse(fixture.relay.doWork());
      guest.send(new byte[] {whole[whole.length - 1]});
      fixture.step();
      assertArrayEquals(whole, RelayFixture.bytesOf(newest()));
      // Outstanding: what else arrives wakes nobody again and again.
      guest.send(FrontEndPeer.message(4));
      fixture.step();
      assertEquals(0, fixture.loop.doWork(false));
      assertFalse(fixture.relay.doWork());
      fixture.reply(newest(), 1, null);
      fixture.step();
      assertEquals(2, fixture.relayed.size());
    }
  }

  @Test
  void shouldCarryDescriptorsFromBothSidesAndKeepThemBySlot() {
    final int memory = Memfd.createSealed("guest", 8192);
    final int inflight = Memfd.createSealed("inflight", 4096);
    try (FrontEndPeer guest = fixture.connect("c0")) {
      final byte[] message = FrontEndPeer.message(5, new byte[100]);
      // Header with descriptors first, payload later, as some front-ends do.
      guest.send(Arrays.copyOf(message, 12), memory, memory);
      guest.send(Arrays.copyOfRange(message, 12, message.length));
      fixture.step();
      final FrontEndSession session = newest();
      assertArrayEquals(message, RelayFixture.bytesOf(session));
      assertEquals(8192, Fds.length(session.message().fds()[1]));
      fixture.answer(
          session,
          1,
          writer ->
              AnswerMaker.write(
                  writer,
                  false,
                  new byte[] {1},
                  new int[] {inflight},
                  1,
                  new byte[] {9},
                  new int[] {10, 1, 11, 1000, 12, 1000},
                  new int[] {inflight}));
      assertArrayEquals(new byte[] {1}, guest.receive(1));
      final int[] received = guest.takeReceivedFds();
      assertEquals(1, received.length);
      assertEquals(4096, Fds.length(received[0]));
      Fds.close(received[0]);
      assertEquals(3, session.slotCount());
      guest.send(FrontEndPeer.message(6));
      fixture.step();
      fixture.answer(
          session,
          2,
          writer ->
              AnswerMaker.write(
                  writer,
                  false,
                  null,
                  new int[0],
                  2,
                  new byte[] {9},
                  new int[] {10, -1, 11, 1000},
                  new int[] {memory}));
      assertEquals(2, session.slotCount());
    }
    Fds.close(memory);
    Fds.close(inflight);
    fixture.slavesKnowSessions = false;
    fixture.step();
    assertTrue(fixture.relay.sessions().isEmpty());
  }

  @Test
  void shouldCloseTheSessionOfATooLongMessageOnly() {
    try (FrontEndPeer bad = fixture.connect("c0");
        FrontEndPeer good = fixture.connect("c1")) {
      final byte[] header = FrontEndPeer.message(1);
      header[11] = 1;
      bad.send(header);
      good.send(FrontEndPeer.message(1));
      fixture.step();
      assertTrue(bad.isAtEnd());
      assertEquals(1, fixture.closing.size());
      assertEquals(1, fixture.relayed.size());
      assertEquals(1, fixture.counters.get(MasterCounter.MESSAGE_VIOLATIONS));
      assertEquals(1, fixture.counters.get(MasterCounter.SESSIONS_FAILED));
    }
  }

  @Test
  void shouldCloseASessionWithTooManyDescriptors() {
    final int event = EventFd.create();
    final int[] many = new int[Framing.VHOST_USER.fdCountMax() + 1];
    Arrays.fill(many, event);
    try (FrontEndPeer guest = fixture.connect("c0")) {
      guest.send(FrontEndPeer.message(1), many);
      fixture.step();
      assertTrue(guest.isAtEnd());
    }
    try (FrontEndPeer guest = fixture.connect("c1")) {
      final byte[] message = FrontEndPeer.message(1, new byte[8]);
      for (final byte one : message) {
        guest.send(new byte[] {one}, event);
      }
      fixture.step();
      assertTrue(guest.isAtEnd());
    }
    Fds.close(event);
  }

  @Test
  void shouldServeAFloodOneMessageAtATimeAndOthersInBetween() {
    try (FrontEndPeer flood = fixture.connect("c0");
        FrontEndPeer other = fixture.connect("c1")) {
      int sent = 0;
      while (flood.trySend(FrontEndPeer.message(1, new byte[400]))) {
        sent++;
      }
      other.send(FrontEndPeer.message(2));
      fixture.step();
      assertEquals(2, fixture.relayed.size(), "one of each");
      final FrontEndSession flooding = fixture.relayed.get(0);
      for (int i = 1; i <= sent; i++) {
        fixture.reply(flooding, i, null);
        fixture.step();
      }
      assertEquals(sent, flooding.segment().settledSequence());
      assertTrue(sent > 100);
    }
  }

  @Test
  void shouldCloseAFrontEndThatDoesNotReadItsReplies() {
    try (FrontEndPeer guest = fixture.connect("c0")) {
      long version = 0;
      while (newest().state() != SessionState.CLOSING && version < 10_000) {
        guest.send(FrontEndPeer.message(1));
        fixture.step();
        fixture.reply(newest(), ++version, new byte[60_000]);
      }
      assertEquals(SessionState.CLOSING, newest().state());
      assertEquals(1, fixture.counters.get(MasterCounter.REPLIES_UNREAD));
    }
  }

  @Test
  void shouldIgnoreLateAnswersAndLeaveTheMessageWhenOneIsMalformed() {
    try (FrontEndPeer guest = fixture.connect("c0")) {
      guest.send(FrontEndPeer.message(1));
      fixture.step();
      final FrontEndSession session = newest();
      fixture.answer(session, 7, writer -> AnswerMaker.writeReply(writer, 9, new byte[] {1}));
      assertThrows(
          RelayFormatException.class,
          () ->
              fixture.answer(
                  session,
                  1,
                  writer ->
                      AnswerMaker.write(
                          writer,
                          false,
                          null,
                          new int[0],
                          1,
                          new byte[0],
                          new int[] {3, 5},
                          new int[0])));
      assertEquals(SessionState.OUTSTANDING, session.state());
      fixture.reply(session, 1, new byte[] {2});
      assertArrayEquals(new byte[] {2}, guest.receive(1));
      assertTrue(guest.isSilent(20));
    }
  }

  @Test
  void shouldCloseASessionWhenTheSlaveAsksForIt() {
    try (FrontEndPeer guest = fixture.connect("c0")) {
      guest.send(FrontEndPeer.message(1));
      fixture.step();
      fixture.answer(
          newest(),
          1,
          writer ->
              AnswerMaker.write(
                  writer, true, null, new int[0], 1, new byte[0], new int[0], new int[0]));
      assertTrue(guest.isAtEnd());
      assertEquals(SessionState.CLOSING, newest().state());
    }
  }

  @Test
  void shouldHoldANewConnectionUntilTheOldOneIsForgotten() {
    final FrontEndPeer old = fixture.connect("c0");
    fixture.step();
    final FrontEndSession oldSession = newest();
    old.close();
    fixture.step();
    assertEquals(SessionState.CLOSING, oldSession.state());
    try (FrontEndPeer again = fixture.connect("c0")) {
      again.send(FrontEndPeer.message(1));
      fixture.step();
      final FrontEndSession held = newest();
      assertEquals(SessionState.HELD, held.state());
      assertTrue(fixture.relayed.isEmpty());
      fixture.relay.onForgotten(oldSession);
      fixture.step();
      assertEquals(List.of(held), fixture.relayed);
      assertSame(oldSession, fixture.ended.get(0));
      assertNull(fixture.relay.session(oldSession.id()));
      assertFalse(Files.exists(fixture.segments.session(oldSession.id())));
    }
  }

  @Test
  void shouldRefuseTheFifthConnectionOfAController() {
    final List<FrontEndPeer> guests = new ArrayList<>();
    for (int i = 0; i < 5; i++) {
      guests.add(fixture.connect("c0"));
    }
    assertEquals(4, fixture.relay.sessionsOf("c0").size());
    assertTrue(guests.get(4).isAtEnd());
    assertEquals(1, fixture.counters.get(MasterCounter.SESSIONS_REFUSED));
    guests.forEach(FrontEndPeer::close);
  }
}

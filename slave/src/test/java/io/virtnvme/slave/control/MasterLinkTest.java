package io.virtnvme.slave.control;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNotNull;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.virtnvme.ipc.relay.RelayChannel;
import io.virtnvme.ipc.relay.RelayMessageType;
import io.virtnvme.ipc.relay.RelayReader;
import io.virtnvme.ipc.sys.Epoll;
import io.virtnvme.ipc.sys.Fds;
import io.virtnvme.ipc.sys.UnixSocket;
import java.nio.file.Path;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** What a slave hears of its master, dead or alive. */
class MasterLinkTest {
  @TempDir private Path folder;

  /**
   * A master tells a standby the newest record of a session, settles the message that made it, and
   * dies with the owner of the seat. Nobody else has that record: without it no ring may start.
   */
  @Test
  void shouldReadEverythingThatDeadMasterSentAlthoughItTakesNothingMore() {
    final Path path = folder.resolve("socket");
    final int listenFd = UnixSocket.listenSeqPacket(path.toString(), 1);
    try (Epoll epoll = new Epoll(4);
        MasterLink link = new MasterLink(path, epoll, 1)) {
      assertTrue(link.connect());
      final RelayChannel master = new RelayChannel(UnixSocket.accept(listenFd));
      for (int id = 1; id <= 3; id++) {
        master.begin(RelayMessageType.SESSION_CLOSE, id, 0);
        assertTrue(master.send());
      }
      master.close();

      link.begin(RelayMessageType.SESSION_PREPARED, 7, 0).putLong(1);
      assertFalse(link.send());
      for (int id = 1; id <= 3; id++) {
        final RelayReader message = link.receive();
        assertNotNull(message, "message " + id);
        assertEquals(id, message.id());
      }
      assertNull(link.receive());
      assertFalse(link.isUp());
    } finally {
      Fds.close(listenFd);
    }
  }

  @Test
  void shouldCutOffMasterThatReadsNothing() {
    final Path path = folder.resolve("socket");
    final int listenFd = UnixSocket.listenSeqPacket(path.toString(), 1);
    try (Epoll epoll = new Epoll(4);
        MasterLink link = new MasterLink(path, epoll, 1)) {
      assertTrue(link.connect());
      final RelayChannel master = new RelayChannel(UnixSocket.accept(listenFd));
      master.begin(RelayMessageType.SESSION_CLOSE, 1, 0);
      assertTrue(master.send());
      boolean sent = true;
      for (int i = 0; i < 100_000 && sent; i++) {
        link.begin(RelayMessageType.SESSION_CLOSED, i, 0);
        sent = link.send();
      }
      assertFalse(sent);
      final RelayReader message = link.receive();
      assertNotNull(message);
      assertEquals(1, message.id());
      assertNull(link.receive());
      assertFalse(link.isUp());
      master.close();
    } finally {
      Fds.close(listenFd);
    }
  }
}

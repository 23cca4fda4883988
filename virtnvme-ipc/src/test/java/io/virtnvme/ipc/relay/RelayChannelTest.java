package io.virtnvme.ipc.relay;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertThrows;

import io.virtnvme.ipc.sys.Fds;
import io.virtnvme.ipc.sys.Memfd;
import io.virtnvme.ipc.sys.UnixSocket;
import java.nio.file.Path;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class RelayChannelTest {
  @TempDir Path directory;

  private RelayChannel master;
  private RelayChannel slave;

  @BeforeEach
  void connect() {
    final String path = directory.resolve("s").toString();
    final int listener = UnixSocket.listenSeqPacket(path, 4);
    slave = new RelayChannel(UnixSocket.connectSeqPacket(path));
    master = new RelayChannel(UnixSocket.accept(listener));
    Fds.close(listener);
  }

  @AfterEach
  void close() {
    master.close();
    slave.close();
  }

  @Test
  void shouldCarryDescriptionsAndDescriptors() {
    final SessionDescription description =
        new SessionDescription(
            SessionDescription.Protocol.VHOST_USER_BLK, "vm0", 1, 7, 4, true, false);
    final int memfd = Memfd.createSealed("test", 4096);
    description.write(slave.begin(RelayMessageType.SESSION, 9, 3).putFd(memfd));
    slave.send();
    Fds.close(memfd);
    final RelayReader reader = master.receive();
    assertEquals(RelayMessageType.SESSION, reader.type());
    assertEquals(9, reader.id());
    assertEquals(3, reader.sequence());
    assertEquals(description, SessionDescription.read(reader));
    assertFalse(reader.hasRemaining());
    final int[] fds = reader.takeFds();
    assertEquals(4096, Fds.length(fds[0]));
    Fds.close(fds[0]);
    assertNull(master.receive());
  }

  @Test
  void shouldRefuseToReadBeyondTheMessage() {
    slave.begin(RelayMessageType.SESSION_FAILED, 1, 0).putInt(1_000_000);
    slave.send();
    final RelayReader reader = master.receive();
    assertThrows(RelayFormatException.class, reader::getString);
    assertThrows(RelayFormatException.class, reader::getLong);
  }

  @Test
  void shouldCarryTheLongestMessage() {
    final byte[] bytes =
        new byte[RelayWriter.MESSAGE_LENGTH_MAX - RelayWriter.HEADER_LENGTH - Integer.BYTES];
    slave.begin(RelayMessageType.ANSWER, 1, 0).putBytes(bytes);
    slave.send();
    assertEquals(bytes.length, master.receive().getBytes().length);
  }

  @Test
  void shouldTellThatThePeerIsGone() {
    slave.close();
    assertThrows(RelayClosedException.class, master::receive);
  }
}

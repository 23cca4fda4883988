package io.virtnvme.master.relay;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNotNull;
import static org.junit.jupiter.api.Assertions.assertNull;

import io.virtnvme.ipc.sys.Fds;
import io.virtnvme.ipc.sys.UnixSocket;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** A listening socket that the service manager kept is used again only if its path leads to it. */
class InheritedListenerTest {
  @TempDir private Path folder;

  @Test
  void shouldUseASocketWhosePathStillLeadsToIt() throws IOException {
    final Path path = folder.resolve("vm");
    final EventLoop loop = new EventLoop(System::nanoTime);
    final int kept = UnixSocket.listenStream(path.toString(), 8);
    final List<Integer> accepted = new ArrayList<>();

    final Listener listener = Listener.inherited(loop, path, kept, accepted::add);

    assertNotNull(listener);
    final int client = UnixSocket.connectStream(path.toString());
    loop.doWork(true);
    assertEquals(1, accepted.size(), "the probe is not a client, the client is");
    Fds.close(client);
    accepted.forEach(Fds::close);
    listener.close();
    loop.close();
  }

  @Test
  void shouldRefuseASocketThatAnotherHasReplaced() throws IOException {
    final Path path = folder.resolve("vm");
    final EventLoop loop = new EventLoop(System::nanoTime);
    final int kept = UnixSocket.listenStream(path.toString(), 8);
    Files.delete(path);
    assertNull(Listener.inherited(loop, path, Fds.duplicate(kept), Fds::close), "no path");
    final int other = UnixSocket.listenStream(path.toString(), 8);
    assertNull(Listener.inherited(loop, path, kept, Fds::close), "another socket");
    Fds.close(other);
    loop.close();
  }
}

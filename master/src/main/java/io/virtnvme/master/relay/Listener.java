package io.virtnvme.master.relay;

import io.virtnvme.ipc.sys.Epoll;
import io.virtnvme.ipc.sys.Errno;
import io.virtnvme.ipc.sys.Fds;
import io.virtnvme.ipc.sys.Processes;
import io.virtnvme.ipc.sys.SysException;
import io.virtnvme.ipc.sys.UnixSocket;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.nio.file.attribute.PosixFilePermissions;
import java.util.concurrent.TimeUnit;
import java.util.function.IntConsumer;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * A listening socket of the run directory. The caller holds the run directory's lock, so a socket
 * of that name is a dead master's and is replaced. Conductor thread.
 */
public final class Listener implements AutoCloseable {
  private static final Logger LOG = LoggerFactory.getLogger(Listener.class);
  private static final int BACKLOG = 64;
  private static final int ACCEPTS_PER_EVENT = 16;
  private static final long PAUSE_NS = TimeUnit.SECONDS.toNanos(1);

  private final EventLoop loop;
  private final Path path;
  private final int fd;
  private final IntConsumer onAccepted;
  private boolean closed;

  private Listener(
      final EventLoop loop, final Path path, final int fd, final IntConsumer onAccepted) {
    this.loop = loop;
    this.path = path;
    this.fd = fd;
    this.onAccepted = onAccepted;
    loop.watch(fd, Epoll.IN, readiness -> onReady());
  }

  /** Listens for streams, as front-ends speak; {@code onAccepted} owns each descriptor. */
  public static Listener stream(final EventLoop loop, final Path path, final IntConsumer onAccepted)
      throws IOException {
    return listen(loop, path, onAccepted, true);
  }

  /**
   * Listens for streams with a socket that a process before this one left, so that whoever
   * connected meanwhile is served.
   *
   * @param fd owned from here on
   * @return null, and the socket is closed, unless it is the one at that path
   */
  public static Listener inherited(
      final EventLoop loop, final Path path, final int fd, final IntConsumer onAccepted) {
    final int self = Processes.currentPid();
    boolean found = false;
    try {
      Fds.setNonBlocking(fd, true);
      // First those that wait: a full backlog would let our own connection wait, too.
      acceptAll(loop, fd, self, onAccepted);
      // Only by a connection of our own it can be told whether a path leads to a socket.
      final int probe = UnixSocket.connectStream(path.toString());
      found = acceptAll(loop, fd, self, onAccepted);
      Fds.close(probe);
    } catch (final SysException e) {
      LOG.info("the socket that was kept for {} is of no use: {}", path, e.getMessage());
    }
    if (!found) {
      Fds.close(fd);
      return null;
    }
    return new Listener(loop, path, fd, onAccepted);
  }

  /** Whether a connection of this process was among them. */
  private static boolean acceptAll(
      final EventLoop loop, final int fd, final int self, final IntConsumer onAccepted) {
    boolean found = false;
    for (int accepted = UnixSocket.accept(fd); accepted >= 0; accepted = UnixSocket.accept(fd)) {
      if (UnixSocket.peerPid(accepted) == self) {
        found = true;
        Fds.close(accepted);
      } else {
        final int client = accepted;
        loop.execute(() -> onAccepted.accept(client));
      }
    }
    return found;
  }

  /** Lets a store keep the socket. */
  public void keepIn(final DescriptorStore store, final String name) {
    store.put(name, fd);
  }

  /** Listens for packets, as slaves speak. */
  public static Listener seqPacket(
      final EventLoop loop, final Path path, final IntConsumer onAccepted) throws IOException {
    return listen(loop, path, onAccepted, false);
  }

  /** The name under which a socket is made before it gets its own. */
  public static Path fresh(final Path path) {
    return path.resolveSibling("." + path.getFileName() + ".new");
  }

  /** Whether a socket of this path can be made, by the length of its name. */
  public static boolean fits(final Path path) {
    return fresh(path).toString().getBytes(StandardCharsets.UTF_8).length
        <= UnixSocket.PATH_BYTES_MAX;
  }

  private static Listener listen(
      final EventLoop loop, final Path path, final IntConsumer onAccepted, final boolean stream)
      throws IOException {
    // Made under another name and renamed: whoever connects finds the old socket or one that
    // listens.
    final Path fresh = fresh(path);
    Files.deleteIfExists(fresh);
    final int fd;
    try {
      fd =
          stream
              ? UnixSocket.listenStream(fresh.toString(), BACKLOG)
              : UnixSocket.listenSeqPacket(fresh.toString(), BACKLOG);
    } catch (final SysException e) {
      throw new IOException(e.getMessage(), e);
    }
    try {
      Files.setPosixFilePermissions(fresh, PosixFilePermissions.fromString("rw-rw----"));
      Files.move(fresh, path, StandardCopyOption.ATOMIC_MOVE, StandardCopyOption.REPLACE_EXISTING);
    } catch (final IOException e) {
      Fds.close(fd);
      Files.deleteIfExists(fresh);
      throw e;
    }
    return new Listener(loop, path, fd, onAccepted);
  }

  public Path path() {
    return path;
  }

  private void onReady() {
    for (int i = 0; i < ACCEPTS_PER_EVENT && !closed; i++) {
      final int accepted = UnixSocket.accept(fd);
      if (accepted == -Errno.EAGAIN || accepted == -Errno.EINTR) {
        return;
      }
      if (accepted < 0) {
        LOG.warn("cannot accept on {}: {}; trying again in a second", path, Errno.text(-accepted));
        loop.interest(fd, 0);
        loop.after(PAUSE_NS, this::goOn);
        return;
      }
      onAccepted.accept(accepted);
    }
  }

  private void goOn() {
    if (!closed) {
      loop.interest(fd, Epoll.IN);
    }
  }

  /** Stops listening and removes the socket. */
  @Override
  public void close() {
    if (closed) {
      return;
    }
    stop();
    try {
      Files.deleteIfExists(path);
    } catch (final IOException e) {
      LOG.warn("cannot remove {}: {}", path, e.getMessage());
    }
  }

  /** Stops listening and leaves the socket's name, for a successor to replace. */
  public void stop() {
    if (!closed) {
      closed = true;
      loop.unwatch(fd);
      Fds.close(fd);
    }
  }
}

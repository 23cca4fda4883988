package io.virtnvme.slave.control;

import io.virtnvme.ipc.relay.RelayChannel;
import io.virtnvme.ipc.relay.RelayClosedException;
import io.virtnvme.ipc.relay.RelayMessageType;
import io.virtnvme.ipc.relay.RelayReader;
import io.virtnvme.ipc.relay.RelayWriter;
import io.virtnvme.ipc.sys.Epoll;
import io.virtnvme.ipc.sys.Fds;
import io.virtnvme.ipc.sys.SysException;
import io.virtnvme.ipc.sys.UnixSocket;
import java.nio.file.Path;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/** The connection to the master, made again whenever the master comes back. Control thread only. */
final class MasterLink implements AutoCloseable {
  private static final Logger LOGGER = LoggerFactory.getLogger(MasterLink.class);

  private final Path socketPath;
  private final Epoll epoll;
  private final long token;
  private RelayChannel channel;
  private int connectionCount;

  MasterLink(final Path socketPath, final Epoll epoll, final long token) {
    this.socketPath = socketPath;
    this.epoll = epoll;
    this.token = token;
  }

  boolean isUp() {
    return channel != null;
  }

  /** Which connection this is: what was asked over an earlier one is not answered over this. */
  int connectionNumber() {
    return connectionCount;
  }

  /** Tries once to connect; false when no master listens. */
  boolean connect() {
    final int fd;
    try {
      fd = UnixSocket.connectSeqPacket(socketPath.toString());
    } catch (final SysException e) {
      return false;
    }
    Fds.setNonBlocking(fd, true);
    channel = new RelayChannel(fd);
    connectionCount++;
    epoll.add(fd, Epoll.IN | Epoll.RDHUP, token);
    return true;
  }

  /**
   * Starts a message; the body follows on the returned writer, then {@link #send}. Only while
   * {@link #isUp}.
   */
  RelayWriter begin(final RelayMessageType type, final long id, final long sequence) {
    return channel.begin(type, id, sequence);
  }

  /**
   * Sends what was begun. A master that takes nothing is cut off, but the link is up until {@link
   * #receive} has read everything that it had sent: the newest record of a session may be there and
   * nowhere else.
   *
   * @return false when it was not sent
   */
  boolean send() {
    final boolean sent = channel.send();
    if (!sent) {
      UnixSocket.shutdown(channel.fd());
    }
    return sent;
  }

  /** The next message, or null when there is none or the master is gone. */
  RelayReader receive() {
    if (channel == null) {
      return null;
    }
    try {
      return channel.receive();
    } catch (final RelayClosedException e) {
      drop(e.getMessage());
      return null;
    }
  }

  void drop(final String reason) {
    if (channel != null) {
      LOGGER.warn(
          "master is gone ({}): serving on, and waiting for a new one at {}", reason, socketPath);
      epoll.remove(channel.fd());
      channel.close();
      channel = null;
    }
  }

  @Override
  public void close() {
    if (channel != null) {
      channel.close();
      channel = null;
    }
  }
}

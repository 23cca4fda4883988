package io.virtnvme.ipc.relay;

import io.virtnvme.ipc.memory.Mem;
import io.virtnvme.ipc.sys.Errno;
import io.virtnvme.ipc.sys.FdMessage;
import io.virtnvme.ipc.sys.Fds;
import io.virtnvme.ipc.sys.UnixSocket;

/** One end of a master-slave connection. One thread sends and receives. */
public final class RelayChannel implements AutoCloseable {
  /**
   * Both ends refuse another major version; a higher minor version only adds messages and fields at
   * the end.
   */
  public static final int PROTOCOL_MAJOR = 2;

  public static final int PROTOCOL_MINOR = 5;

  private final int fd;
  private final FdMessage socket = new FdMessage();
  private final long sendAddress = Mem.allocate(RelayWriter.MESSAGE_LENGTH_MAX);
  private final long receiveAddress = Mem.allocate(RelayWriter.MESSAGE_LENGTH_MAX);
  private final RelayWriter writer = new RelayWriter(sendAddress);
  private final RelayReader reader = new RelayReader(receiveAddress);
  private boolean closed;

  /** Takes over a connected SOCK_SEQPACKET descriptor. */
  public RelayChannel(final int fd) {
    this.fd = fd;
    UnixSocket.sendBuffer(fd, 2 * RelayWriter.MESSAGE_LENGTH_MAX);
  }

  public int fd() {
    return fd;
  }

  public RelayWriter begin(final RelayMessageType type, final long id, final long sequence) {
    return writer.begin(type, id, sequence);
  }

  /**
   * Sends what {@link #begin} started. False when the peer is gone, or (non-blocking descriptor)
   * has not read for so long that the socket is full: either way the connection is of no more use.
   */
  public boolean send() {
    final int length = writer.finish();
    long result;
    do {
      result = socket.send(fd, sendAddress, length, writer.fds(), writer.fdCount());
    } while (result == -Errno.EINTR);
    return result == length;
  }

  /**
   * The next message, or null when none waits now (non-blocking descriptor). Descriptors that the
   * handler does not take are closed at the next call.
   *
   * @throws RelayFormatException when the message is malformed
   * @throws RelayClosedException when the peer is gone
   */
  public RelayReader receive() {
    for (final int untaken : reader.takeFds()) {
      Fds.close(untaken);
    }
    final long result = socket.receive(fd, receiveAddress, RelayWriter.MESSAGE_LENGTH_MAX, 0);
    if (result == -Errno.EAGAIN || result == -Errno.EINTR) {
      return null;
    }
    if (result <= 0) {
      throw new RelayClosedException(result == 0 ? "end of file" : Errno.text((int) -result));
    }
    if (socket.truncated()) {
      socket.closeFds();
      throw new RelayFormatException("message or descriptors cut short: received=" + result);
    }
    reader.wrap((int) result, socket.takeFds());
    return reader;
  }

  @Override
  public void close() {
    if (!closed) {
      closed = true;
      for (final int untaken : reader.takeFds()) {
        Fds.close(untaken);
      }
      Fds.close(fd);
      socket.close();
      Mem.free(sendAddress);
      Mem.free(receiveAddress);
    }
  }
}

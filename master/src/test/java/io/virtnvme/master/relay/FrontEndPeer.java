package io.virtnvme.master.relay;

import io.virtnvme.ipc.memory.Mem;
import io.virtnvme.ipc.sys.Errno;
import io.virtnvme.ipc.sys.FdMessage;
import io.virtnvme.ipc.sys.Fds;
import io.virtnvme.ipc.sys.UnixSocket;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.file.Path;
import java.util.Arrays;

/** The front-end's side of a connection, for tests. */
public final class FrontEndPeer implements AutoCloseable {
  private static final int BUFFER_LENGTH = 256 * 1024;
  private static final int WAIT_MS = 5000;

  private final int fd;
  private final FdMessage socket = new FdMessage();
  private final long buffer = Mem.allocate(BUFFER_LENGTH);
  private int[] receivedFds = new int[0];

  public FrontEndPeer(final int fd) {
    this.fd = fd;
  }

  public static FrontEndPeer connect(final Path path) {
    return new FrontEndPeer(UnixSocket.connectStream(path.toString()));
  }

  /** A message with a payload that tells it from others. */
  public static byte[] message(final int request, final byte... payload) {
    return ByteBuffer.allocate(12 + payload.length)
        .order(ByteOrder.LITTLE_ENDIAN)
        .putInt(request)
        .putInt(1)
        .putInt(payload.length)
        .put(payload)
        .array();
  }

  public int fd() {
    return fd;
  }

  public void send(final byte[] bytes, final int... fds) {
    Mem.copyIn(bytes, 0, buffer, bytes.length);
    final long sent = socket.send(fd, buffer, bytes.length, fds, fds.length);
    if (sent != bytes.length) {
      throw new IllegalStateException("sent " + sent + " of " + bytes.length);
    }
  }

  /** Sends if the socket has room. */
  public boolean trySend(final byte[] bytes) {
    Fds.setNonBlocking(fd, true);
    Mem.copyIn(bytes, 0, buffer, bytes.length);
    return socket.send(fd, buffer, bytes.length, new int[0], 0) == bytes.length;
  }

  /** The next {@code length} bytes; fewer at the end of the stream. */
  public byte[] receive(final int length) {
    int total = 0;
    while (total < length) {
      if (!Fds.awaitReadable(fd, WAIT_MS)) {
        throw new IllegalStateException("nothing received, had " + total + " of " + length);
      }
      final long received = socket.receive(fd, buffer + total, length - total, 0);
      if (received == 0 || received == -Errno.ECONNRESET) {
        break;
      }
      final int[] fds = socket.takeFds();
      if (fds.length > 0) {
        receivedFds = fds;
      }
      total += (int) received;
    }
    final byte[] bytes = new byte[total];
    Mem.copyOut(buffer, bytes, 0, total);
    return bytes;
  }

  /** Descriptors that came with what was received last; the caller closes them. */
  public int[] takeReceivedFds() {
    final int[] fds = receivedFds;
    receivedFds = new int[0];
    return fds;
  }

  /** True when nothing can be read within a moment. */
  public boolean isSilent(final int waitMs) {
    return !Fds.awaitReadable(fd, waitMs);
  }

  /** True when the other side has hung up. */
  public boolean isAtEnd() {
    return receive(1).length == 0;
  }

  @Override
  public void close() {
    Arrays.stream(receivedFds).forEach(Fds::close);
    socket.close();
    Mem.free(buffer);
    Fds.close(fd);
  }
}

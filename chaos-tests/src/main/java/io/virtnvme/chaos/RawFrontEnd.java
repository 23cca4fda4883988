package io.virtnvme.chaos;

import io.virtnvme.ipc.memory.Mem;
import io.virtnvme.ipc.sys.Errno;
import io.virtnvme.ipc.sys.FdMessage;
import io.virtnvme.ipc.sys.Fds;
import io.virtnvme.ipc.sys.UnixSocket;
import io.virtnvme.ipc.vhostuser.VhostUserMessage;
import io.virtnvme.ipc.vhostuser.VhostUserRequest;
import java.time.Duration;

/**
 * A front-end's connection that sends any bytes with any descriptors, and sees exactly what comes
 * back. One thread.
 */
final class RawFrontEnd implements AutoCloseable {
  static final Duration LIMIT = Duration.ofSeconds(20);
  private static final int BUFFER_LENGTH = 256 * 1024;
  private static final int ACKNOWLEDGEMENT_LENGTH = VhostUserMessage.HEADER_LENGTH + Long.BYTES;

  private final int fd;
  private final FdMessage fdMessage = new FdMessage();
  private final long buffer = Mem.allocate(BUFFER_LENGTH);
  private int[] replyFds = {};

  private RawFrontEnd(final int fd) {
    this.fd = fd;
  }

  static RawFrontEnd connect(final String socketPath) {
    final int fd = UnixSocket.connectStream(socketPath);
    Fds.setNonBlocking(fd, true);
    return new RawFrontEnd(fd);
  }

  /**
   * Sends bytes, the descriptors with the first of them.
   *
   * @return false when the peer hung up or took nothing for the time limit
   */
  boolean trySend(final byte[] bytes, final Duration limit, final int... fds) {
    int sent = 0;
    final long deadlineNs = System.nanoTime() + limit.toNanos();
    while (sent < bytes.length) {
      final int count = Math.min(bytes.length - sent, BUFFER_LENGTH);
      Mem.copyIn(bytes, sent, buffer, count);
      final long result = fdMessage.send(fd, buffer, count, fds, sent == 0 ? fds.length : 0);
      if (result > 0) {
        sent += (int) result;
      } else if (result != -Errno.EAGAIN && result != -Errno.EINTR) {
        return false;
      } else if (System.nanoTime() - deadlineNs > 0) {
        return false;
      } else {
        Thread.onSpinWait();
      }
    }
    return true;
  }

  void send(final byte[] bytes, final int... fds) {
    if (!trySend(bytes, LIMIT, fds)) {
      throw new AssertionError("the back-end does not take a message: " + name(bytes));
    }
  }

  /** The next message whole, or null when the peer hung up. */
  byte[] receive() {
    final byte[] header = receiveBytes(VhostUserMessage.HEADER_LENGTH);
    if (header == null) {
      return null;
    }
    final int payload = VhostUserMessage.payloadLength(header);
    if (payload < 0 || payload > BUFFER_LENGTH - header.length) {
      throw new AssertionError("the back-end sent a payload of " + payload + " bytes");
    }
    final byte[] rest = receiveBytes(payload);
    final byte[] message = java.util.Arrays.copyOf(header, header.length + payload);
    System.arraycopy(rest, 0, message, header.length, payload);
    return message;
  }

  private byte[] receiveBytes(final int count) {
    int received = 0;
    final long deadlineNs = System.nanoTime() + LIMIT.toNanos();
    while (received < count) {
      final long leftMs = (deadlineNs - System.nanoTime()) / 1_000_000;
      if (leftMs <= 0) {
        throw new AssertionError("no message of the back-end in " + LIMIT.toMillis() + " ms");
      }
      Fds.awaitReadable(fd, (int) leftMs);
      final long result =
          fdMessage.receive(fd, buffer + received, count - received, FdMessage.DONT_WAIT);
      if (fdMessage.fdCount() > 0) {
        replyFds = fdMessage.takeFds();
      }
      if (result == 0 || result == -Errno.ECONNRESET) {
        return null;
      }
      received += (int) Math.max(0, result);
    }
    final byte[] bytes = new byte[count];
    Mem.copyOut(buffer, bytes, 0, count);
    return bytes;
  }

  /** The descriptors that came last; the caller owns them. */
  int[] takeFds() {
    final int[] taken = replyFds;
    replyFds = new int[0];
    return taken;
  }

  /** Sends a request and returns its reply. */
  byte[] call(final byte[] request, final int... fds) {
    send(request, fds);
    final byte[] reply = receive();
    if (reply == null
        || VhostUserMessage.requestCode(reply) != VhostUserMessage.requestCode(request)) {
      throw new AssertionError("no reply to " + name(request) + (reply == null ? ": hung up" : ""));
    }
    return reply;
  }

  long callU64(final VhostUserRequest request) {
    return VhostUserMessage.u64(call(VhostUserMessage.request(request, 0, 0)));
  }

  /** Sends a request that asks for an acknowledgement, and expects that it was carried out. */
  void sendAcknowledged(final byte[] request, final int... fds) {
    final long result = acknowledgement(request, fds);
    if (result != 0) {
      throw new AssertionError(name(request) + " was refused: result=" + result);
    }
  }

  /** Sends a request that asks for an acknowledgement, and returns what it says. */
  long acknowledgement(final byte[] request, final int... fds) {
    request[VhostUserMessage.FLAGS_OFFSET] |= (byte) VhostUserMessage.NEED_REPLY_FLAG;
    final byte[] reply = call(request, fds);
    if (reply.length != ACKNOWLEDGEMENT_LENGTH) {
      throw new AssertionError("bad acknowledgement of " + name(request) + ": " + reply.length);
    }
    return VhostUserMessage.u64(reply);
  }

  /** Whether the peer hangs up within the time limit; drops what it sent before. */
  boolean isHungUpWithin(final Duration limit) {
    return Waiting.holdsWithin(limit, this::isHungUp);
  }

  private boolean isHungUp() {
    for (; ; ) {
      final long result = fdMessage.receive(fd, buffer, BUFFER_LENGTH, FdMessage.DONT_WAIT);
      fdMessage.closeFds();
      if (result == -Errno.EAGAIN) {
        return false;
      }
      if (result <= 0) {
        return true;
      }
    }
  }

  /** Bytes that came and were not received yet. */
  int unreadBytes() {
    return UnixSocket.unreadInputBytes(fd);
  }

  private static String name(final byte[] message) {
    if (message.length < VhostUserMessage.HEADER_LENGTH) {
      return "(" + message.length + " bytes)";
    }
    final int code = VhostUserMessage.requestCode(message);
    final VhostUserRequest request = VhostUserRequest.of(code);
    return request == null ? "request " + code : request.name();
  }

  @Override
  public void close() {
    for (final int replyFd : replyFds) {
      Fds.close(replyFd);
    }
    fdMessage.close();
    Mem.free(buffer);
    Fds.close(fd);
  }
}

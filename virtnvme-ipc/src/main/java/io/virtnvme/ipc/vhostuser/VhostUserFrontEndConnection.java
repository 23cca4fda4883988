package io.virtnvme.ipc.vhostuser;

import io.virtnvme.ipc.memory.LittleEndian;
import io.virtnvme.ipc.memory.Mem;
import io.virtnvme.ipc.sys.Errno;
import io.virtnvme.ipc.sys.FdMessage;
import io.virtnvme.ipc.sys.Fds;
import io.virtnvme.ipc.sys.SysException;
import io.virtnvme.ipc.sys.UnixSocket;

/**
 * One connection to a back-end: sends a request and waits for its reply or acknowledgement, each
 * within the time limit. Used by one thread.
 */
final class VhostUserFrontEndConnection implements AutoCloseable {
  private static final int MESSAGE_LENGTH_MAX =
      VhostUserMessage.HEADER_LENGTH + VhostUserMessage.PAYLOAD_LENGTH_MAX;
  private static final int[] NO_FDS = {};

  private final int socketFd;
  private final String socketPath;
  private final int timeoutMs;
  private final FdMessage fdMessage = new FdMessage();
  private final long buffer = Mem.allocate(MESSAGE_LENGTH_MAX);
  private int[] replyFds = NO_FDS;
  private boolean acknowledged;

  private VhostUserFrontEndConnection(
      final int socketFd, final String socketPath, final int timeoutMs) {
    this.socketFd = socketFd;
    this.socketPath = socketPath;
    this.timeoutMs = timeoutMs;
  }

  static VhostUserFrontEndConnection connect(final String socketPath, final int timeoutMs) {
    final int fd;
    try {
      fd = UnixSocket.connectStream(socketPath);
    } catch (final SysException e) {
      throw new VhostUserFrontEndException("no back-end: " + e.getMessage(), true);
    }
    Fds.setNonBlocking(fd, true);
    return new VhostUserFrontEndConnection(fd, socketPath, timeoutMs);
  }

  /** False once the peer has hung up; what it sent before stays unread. */
  boolean isOpen() {
    final long result =
        fdMessage.receiveBytes(socketFd, buffer, 1, FdMessage.PEEK | FdMessage.DONT_WAIT);
    return result > 0 || (result < 0 && isTransient((int) -result));
  }

  int peerPid() {
    return UnixSocket.peerPid(socketFd);
  }

  /** From now on every request without a reply waits for an acknowledgement (REPLY_ACK). */
  void acknowledged(final boolean enabled) {
    acknowledged = enabled;
  }

  /** Sends a request that has no reply; with REPLY_ACK waits until it has been carried out. */
  void send(final byte[] request, final int... fds) {
    if (!acknowledged) {
      transmit(request, fds);
      return;
    }
    final int flags = VhostUserMessage.flags(request) | VhostUserMessage.NEED_REPLY_FLAG;
    LittleEndian.putInt(request, VhostUserMessage.FLAGS_OFFSET, flags);
    transmit(request, fds);
    final byte[] reply = receive(request, VhostUserMessage.HEADER_LENGTH + Long.BYTES);
    final long result = VhostUserMessage.u64(reply);
    if (result != 0) {
      throw new VhostUserFrontEndException(
          socketPath + " refused " + name(request) + ": result=" + result, false);
    }
  }

  /**
   * Sends a request and waits for its reply, which must be as long as {@code replyPayloadLength}
   * says. The reply's descriptors are in {@link #takeFds}.
   */
  byte[] call(final byte[] request, final int replyPayloadLength) {
    transmit(request, NO_FDS);
    return receive(request, VhostUserMessage.HEADER_LENGTH + replyPayloadLength);
  }

  /** A request without payload whose reply is one 64-bit value. */
  long callForLong(final VhostUserRequest request) {
    return VhostUserMessage.u64(call(VhostUserMessage.request(request, 0, 0), Long.BYTES));
  }

  /** The descriptors of the last reply; the caller owns them. */
  int[] takeFds() {
    final int[] taken = replyFds;
    replyFds = NO_FDS;
    return taken;
  }

  private void transmit(final byte[] request, final int... fds) {
    Mem.copyIn(request, 0, buffer, request.length);
    final long sent = fdMessage.send(socketFd, buffer, request.length, fds, fds.length);
    if (sent != request.length) {
      // The socket takes far more than all messages of a start, so a full one means that nobody
      // reads.
      throw new VhostUserFrontEndException(
          "cannot send "
              + name(request)
              + " to "
              + socketPath
              + ": "
              + (sent < 0 ? Errno.text((int) -sent) : "only " + sent + " bytes taken"),
          true);
    }
  }

  private byte[] receive(final byte[] request, final int expectedLength) {
    final long deadlineNs = System.nanoTime() + timeoutMs * 1_000_000L;
    closeReplyFds();
    receiveFully(request, 0, VhostUserMessage.HEADER_LENGTH, deadlineNs);
    final byte[] reply = new byte[expectedLength];
    Mem.copyOut(buffer, reply, 0, VhostUserMessage.HEADER_LENGTH);
    final int flags = VhostUserMessage.flags(reply);
    if (VhostUserMessage.requestCode(reply) != VhostUserMessage.requestCode(request)
        || (flags & VhostUserMessage.VERSION_MASK) != VhostUserMessage.VERSION
        || (flags & VhostUserMessage.REPLY_FLAG) == 0
        || VhostUserMessage.payloadLength(reply)
            != expectedLength - VhostUserMessage.HEADER_LENGTH) {
      closeReplyFds();
      throw new VhostUserFrontEndException(
          "bad reply to "
              + name(request)
              + " from "
              + socketPath
              + ": request="
              + VhostUserMessage.requestCode(reply)
              + " flags=0x"
              + Integer.toHexString(flags)
              + " payload bytes="
              + VhostUserMessage.payloadLength(reply)
              + " expected="
              + (expectedLength - VhostUserMessage.HEADER_LENGTH),
          false);
    }
    receiveFully(request, VhostUserMessage.HEADER_LENGTH, expectedLength, deadlineNs);
    Mem.copyOut(buffer, reply, 0, expectedLength);
    return reply;
  }

  private void receiveFully(
      final byte[] request, final int from, final int to, final long deadlineNs) {
    int at = from;
    while (at < to) {
      final long leftMs = (deadlineNs - System.nanoTime() + 999_999) / 1_000_000;
      if (leftMs <= 0) {
        throw new VhostUserFrontEndException(
            "no answer to " + name(request) + " from " + socketPath + " in " + timeoutMs + " ms",
            true);
      }
      if (!Fds.awaitReadable(socketFd, (int) leftMs)) {
        continue;
      }
      final long received = fdMessage.receive(socketFd, buffer + at, to - at, FdMessage.DONT_WAIT);
      if (received == 0 || (received < 0 && !isTransient((int) -received))) {
        throw new VhostUserFrontEndException(
            socketPath
                + " hung up instead of answering "
                + name(request)
                + (received < 0 ? ": " + Errno.text((int) -received) : ""),
            true);
      }
      keepFds();
      at += (int) Math.max(0, received);
    }
  }

  /** Descriptors come with a message's first byte; any that come later do not belong to it. */
  private void keepFds() {
    if (replyFds.length == 0) {
      replyFds = fdMessage.takeFds();
    } else {
      fdMessage.closeFds();
    }
  }

  private static boolean isTransient(final int errno) {
    return errno == Errno.EAGAIN || errno == Errno.EINTR;
  }

  private static String name(final byte[] request) {
    return String.valueOf(VhostUserRequest.of(VhostUserMessage.requestCode(request)));
  }

  private void closeReplyFds() {
    for (final int fd : replyFds) {
      Fds.close(fd);
    }
    replyFds = NO_FDS;
  }

  @Override
  public void close() {
    closeReplyFds();
    fdMessage.close();
    Mem.free(buffer);
    Fds.close(socketFd);
  }
}

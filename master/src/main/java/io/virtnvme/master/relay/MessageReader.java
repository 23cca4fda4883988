package io.virtnvme.master.relay;

import io.virtnvme.ipc.memory.Mem;
import io.virtnvme.ipc.segment.SessionSegment;
import io.virtnvme.ipc.sys.Errno;
import io.virtnvme.ipc.sys.FdMessage;
import io.virtnvme.ipc.sys.Fds;
import io.virtnvme.ipc.sys.UnixSocket;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;

/**
 * Reads front-ends' messages while they stay in their socket, and takes them out when they are
 * done. A protocol's {@link Framing} is all it knows.
 */
final class MessageReader implements AutoCloseable {
  /** One byte more than the longest message, so that a look beyond any message is possible. */
  private static final int BUFFER_LENGTH = Framing.MESSAGE_LENGTH_MAX + 1;

  private final FdMessage socket = new FdMessage();
  private final long buffer = Mem.allocate(BUFFER_LENGTH);

  /**
   * The next message, or null when it has not arrived whole.
   *
   * @throws FrontEndException when the front-end is gone, or its message will never be accepted
   */
  FrontEndMessage peek(final int fd, final Framing framing) throws FrontEndException {
    UnixSocket.peekFrom(fd, 0);
    int headerLength = 0;
    while (headerLength < framing.headerLength()) {
      final long received =
          socket.receiveBytes(
              fd,
              buffer + headerLength,
              framing.headerLength() - headerLength,
              FdMessage.PEEK | FdMessage.DONT_WAIT);
      if (received == -Errno.EAGAIN || received == -Errno.EINTR) {
        return null;
      }
      if (received <= 0) {
        throw FrontEndException.isGone(
            received == 0 ? "the front-end hung up" : Errno.text((int) -received));
      }
      headerLength += (int) received;
    }
    final int length = framing.messageLength(Mem.getInt(buffer + framing.sizeOffset()));
    return UnixSocket.unreadInputBytes(fd) < length
        ? null
        : peekWhole(fd, length, framing.fdCountMax());
  }

  /**
   * Looks beyond the end of the message on purpose. A peek that has got all the bytes it asked for
   * still walks on through the queue and brings the descriptors of the next message that has some;
   * but it ends right behind the bytes that they came with. So descriptors belong to this message
   * if and only if the peek ended within it.
   */
  private FrontEndMessage peekWhole(final int fd, final int length, final int fdCountMax)
      throws FrontEndException {
    UnixSocket.peekFrom(fd, 0);
    final List<Integer> fds = new ArrayList<>();
    final int[] pieces = new int[SessionSegment.TAKEN_WITNESS_COUNT];
    int pieceCount = 0;
    int pieceStart = 0;
    int total = 0;
    try {
      while (total < length) {
        final long received =
            socket.receive(
                fd, buffer + total, BUFFER_LENGTH - total, FdMessage.PEEK | FdMessage.DONT_WAIT);
        final boolean beyond = total + received > length;
        if (beyond) {
          socket.closeFds();
        }
        final int[] brought = socket.takeFds();
        for (final int newFd : brought) {
          fds.add(newFd);
        }
        if (received <= 0 || (socket.truncated() && !beyond) || fds.size() > fdCountMax) {
          throw FrontEndException.brokeTheRules(
              "message cannot be read: wanted="
                  + (length - total)
                  + " received="
                  + received
                  + " descriptors="
                  + fds.size()
                  + " (at most "
                  + fdCountMax
                  + ")"
                  + (socket.truncated() ? ", some were lost: raise the limit of open files" : ""));
        }
        total = Math.min(length, total + (int) received);
        // A receive stops behind bytes that came with descriptors; taking must stop there too.
        if (total == length || brought.length > 0) {
          if (pieceCount == pieces.length) {
            throw FrontEndException.brokeTheRules(
                "descriptors in too many pieces: at most " + pieces.length);
          }
          pieces[pieceCount++] = total - pieceStart;
          pieceStart = total;
        }
      }
    } catch (final FrontEndException e) {
      fds.forEach(Fds::close);
      throw e;
    }
    final byte[] bytes = new byte[length];
    Mem.copyOut(buffer, bytes, 0, length);
    return new FrontEndMessage(
        bytes,
        fds.stream().mapToInt(Integer::intValue).toArray(),
        Arrays.copyOf(pieces, pieceCount));
  }

  /**
   * Takes a message out of the socket, with the kernel as the session segment's witness. False when
   * the socket held something else than what was peeked.
   */
  boolean take(final int fd, final FrontEndMessage message, final SessionSegment segment) {
    final int[] pieces = message.pieceLengths();
    return FdMessage.takeWitnessed(fd, segment.takenWitnesses(), buffer, pieces, pieces.length)
        == message.bytes().length;
  }

  /**
   * Sends a reply, with the kernel as the session segment's witness. False when it did not leave
   * whole: the front-end is gone or does not read.
   */
  boolean reply(
      final int fd, final SessionSegment segment, final byte[] reply, final int[] replyFds) {
    Mem.copyIn(reply, 0, buffer, reply.length);
    return socket.sendWitnessed(
            fd, segment.replyWitness(), buffer, reply.length, replyFds, replyFds.length)
        == reply.length;
  }

  @Override
  public void close() {
    socket.close();
    Mem.free(buffer);
  }
}

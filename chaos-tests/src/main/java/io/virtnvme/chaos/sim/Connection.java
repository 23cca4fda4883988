package io.virtnvme.chaos.sim;

import io.virtnvme.ipc.sys.Fds;
import java.util.ArrayDeque;
import java.util.Deque;

/**
 * A front-end's socket, as the kernel keeps it whoever dies: messages that no master has taken out,
 * replies that the front-end has not read, and what a dead master is known to have done.
 */
final class Connection {
  /** A message of the front-end, with descriptors of its own. */
  static final class Message {
    final byte[] bytes;
    final int[] fds;

    Message(final byte[] bytes, final int[] fds) {
      this.bytes = bytes;
      this.fds = fds;
    }
  }

  /** A reply with its descriptors, which are its reader's. */
  static final class Reply {
    final byte[] bytes;
    final int[] fds;

    Reply(final byte[] bytes, final int[] fds) {
      this.bytes = bytes;
      this.fds = fds;
    }
  }

  final Deque<Message> messages = new ArrayDeque<>();
  final Deque<Reply> replies = new ArrayDeque<>();

  /** Messages that were taken out. */
  long settledCount;

  /** The reply to the first message was sent. */
  boolean replied;

  /** The session that it became; 0 before. */
  long sessionId;

  /** The front-end hung up. */
  boolean hungUp;

  /** The back-end hung up. */
  boolean broken;

  /** The first message is taken out. */
  void take() {
    closeFds(messages.remove().fds);
    replied = false;
    settledCount++;
  }

  void close() {
    closeReplies();
    for (final Message message : messages) {
      closeFds(message.fds);
    }
    messages.clear();
  }

  private static void closeFds(final int[] fds) {
    for (final int fd : fds) {
      Fds.close(fd);
    }
  }

  void closeReplies() {
    for (final Reply reply : replies) {
      closeFds(reply.fds);
    }
    replies.clear();
  }
}

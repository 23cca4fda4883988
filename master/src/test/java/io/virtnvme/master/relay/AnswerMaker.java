package io.virtnvme.master.relay;

import io.virtnvme.ipc.relay.RelayMessageType;
import io.virtnvme.ipc.relay.RelayWriter;

/** Fills ANSWER messages, for tests. */
public final class AnswerMaker {
  public static final RelayMessageType TYPE = RelayMessageType.ANSWER;

  private AnswerMaker() {}

  /**
   * Writes the body of an answer.
   *
   * @param reply null for none
   * @param changes pairs of slot and source
   */
  public static void write(
      final RelayWriter writer,
      final boolean close,
      final byte[] reply,
      final int[] replyFds,
      final long version,
      final byte[] record,
      final int[] changes,
      final int[] newFds) {
    writer
        .putInt(close ? 1 : 0)
        .putString(close ? "the test says so" : "")
        .putInt(reply == null ? 0 : 1)
        .putBytes(reply == null ? new byte[0] : reply)
        .putInt(replyFds.length)
        .putLong(version)
        .putBytes(record)
        .putInt(changes.length / 2);
    for (final int change : changes) {
      writer.putInt(change);
    }
    for (final int fd : replyFds) {
      writer.putFd(fd);
    }
    for (final int fd : newFds) {
      writer.putFd(fd);
    }
  }

  /** An answer with a reply and nothing else. */
  public static void writeReply(final RelayWriter writer, final long version, final byte[] reply) {
    write(
        writer,
        false,
        reply,
        new int[0],
        version,
        new byte[] {(byte) version},
        new int[0],
        new int[0]);
  }
}

package io.virtnvme.master.relay;

import io.virtnvme.ipc.relay.RelayFormatException;
import io.virtnvme.ipc.relay.RelayReader;
import io.virtnvme.ipc.sys.Fds;
import java.util.Arrays;
import java.util.HashSet;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;

/** A slave's answer to a relayed message, checked. */
final class SlaveAnswer {
  /** A record of this length, with its session's other fields, fits a message to a standby. */
  static final int RECORD_LENGTH_MAX = 96 * 1024;

  private static final int CLOSED_SOURCE = -1;
  private static final int ANSWER_SOURCE = 1000;

  private final boolean close;
  private final String reason;
  private final byte[] reply;
  private final int[] replyFds;
  private final long recordVersion;
  private final byte[] record;
  private final Map<Integer, Integer> changes;

  private SlaveAnswer(
      final boolean close,
      final String reason,
      final byte[] reply,
      final int[] replyFds,
      final long recordVersion,
      final byte[] record,
      final Map<Integer, Integer> changes) {
    this.close = close;
    this.reason = reason;
    this.reply = reply;
    this.replyFds = replyFds;
    this.recordVersion = recordVersion;
    this.record = record;
    this.changes = changes;
  }

  /** The session must end. */
  boolean close() {
    return close;
  }

  /** Why, for the log. */
  String reason() {
    return reason;
  }

  /** Bytes for the front-end, or null for none. */
  byte[] reply() {
    return reply;
  }

  /** Descriptors that go with the reply; the holder of the answer closes them. */
  int[] replyFds() {
    return replyFds;
  }

  long recordVersion() {
    return recordVersion;
  }

  /** What the slave made of the session. */
  byte[] record() {
    return record;
  }

  /** Descriptor by slot; -1 for a slot that is empty now. */
  Map<Integer, Integer> changes() {
    return changes;
  }

  /**
   * Reads an ANSWER. Its descriptors, and those of {@code messageFds} that it keeps, belong to the
   * answer then; all others of both are closed.
   *
   * @throws RelayFormatException when it is malformed: nothing is kept or closed of the message
   */
  static SlaveAnswer read(final RelayReader reader, final int[] messageFds) {
    final boolean close = reader.getInt() != 0;
    final String reason = reader.getString();
    final boolean hasReply = reader.getInt() != 0;
    final byte[] reply = reader.getBytes();
    final int replyFdCount = reader.getInt();
    final long version = reader.getLong();
    final byte[] record = reader.getBytes();
    final int changeCount = reader.getInt();
    final int newFdCount = reader.fdCount() - replyFdCount;
    if (replyFdCount < 0
        || newFdCount < 0
        || changeCount < 0
        || record.length > RECORD_LENGTH_MAX
        || reply.length > Framing.MESSAGE_LENGTH_MAX) {
      throw new RelayFormatException(
          "bad answer: reply descriptors="
              + replyFdCount
              + " of "
              + reader.fdCount()
              + " changes="
              + changeCount
              + " record="
              + record.length
              + " reply="
              + reply.length);
    }
    final Map<Integer, Integer> sources = readSources(reader, changeCount, messageFds, newFdCount);
    final int[] answerFds = reader.takeFds();
    final Map<Integer, Integer> changes = new TreeMap<>();
    final Set<Integer> kept = new HashSet<>();
    sources.forEach(
        (slot, source) -> {
          if (source == CLOSED_SOURCE) {
            changes.put(slot, -1);
            return;
          }
          final int fd =
              source >= ANSWER_SOURCE
                  ? answerFds[replyFdCount + source - ANSWER_SOURCE]
                  : messageFds[source];
          // The same descriptor under two slots: each slot closes its own.
          changes.put(slot, kept.add(fd) ? fd : Fds.duplicate(fd));
        });
    closeOthers(messageFds, 0, kept);
    closeOthers(answerFds, replyFdCount, kept);
    return new SlaveAnswer(
        close,
        reason,
        hasReply ? reply : null,
        Arrays.copyOf(answerFds, replyFdCount),
        version,
        record,
        changes);
  }

  private static Map<Integer, Integer> readSources(
      final RelayReader reader,
      final int changeCount,
      final int[] messageFds,
      final int newFdCount) {
    final Map<Integer, Integer> sources = new TreeMap<>();
    for (int i = 0; i < changeCount; i++) {
      final int slot = reader.getInt();
      final int source = reader.getInt();
      final boolean known =
          source == CLOSED_SOURCE
              || (source >= 0 && source < messageFds.length)
              || (source >= ANSWER_SOURCE && source - ANSWER_SOURCE < newFdCount);
      if (slot < 0 || !known) {
        throw new RelayFormatException(
            "bad slot change: slot="
                + slot
                + " source="
                + source
                + " message descriptors="
                + messageFds.length
                + " new descriptors="
                + newFdCount);
      }
      sources.put(slot, source);
    }
    return sources;
  }

  private static void closeOthers(final int[] fds, final int from, final Set<Integer> kept) {
    for (int i = from; i < fds.length; i++) {
      if (!kept.contains(fds[i])) {
        Fds.close(fds[i]);
      }
    }
  }

  void closeReplyFds() {
    for (final int fd : replyFds) {
      Fds.close(fd);
    }
  }
}

package io.virtnvme.slave.session;

/**
 * What became of a message of the front-end; the fields of {@link
 * io.virtnvme.ipc.relay.RelayMessageType#ANSWER}. Arrays and descriptors still belong to the
 * session: whoever gets an answer sends copies before it returns.
 *
 * @param close the session cannot go on; the front-end is to be disconnected
 * @param reason a sentence if something was refused, empty otherwise
 * @param reply the whole reply for the front-end, or null when the message has none
 * @param replyFds descriptors that go with the reply
 * @param version version of the session's record after the message
 * @param record that record
 * @param slots descriptor slots that changed
 * @param sources for each of {@code slots}: -1 = empty now, 0.. = that descriptor of the message,
 *     {@link #NEW_FD} + i = element i of {@code newFds}
 * @param newFds descriptors that the session made and that belong into slots
 */
@SuppressWarnings("ArrayRecordComponent")
public record Answer(
    boolean close,
    String reason,
    byte[] reply,
    int[] replyFds,
    long version,
    byte[] record,
    int[] slots,
    int[] sources,
    int[] newFds) {
  /** First source that means a descriptor of the answer. */
  public static final int NEW_FD = 1000;

  /** The source of an emptied slot. */
  public static final int EMPTY = -1;

  private static final int[] NO_NUMBERS = {};

  /** The answer to a message that changed nothing. */
  public static Answer unchanged(
      final boolean close,
      final String reason,
      final byte[] reply,
      final long version,
      final byte[] record) {
    return new Answer(
        close, reason, reply, NO_NUMBERS, version, record, NO_NUMBERS, NO_NUMBERS, NO_NUMBERS);
  }
}

package io.virtnvme.chaos.sim;

import io.virtnvme.ipc.sys.Fds;
import java.util.Arrays;

/**
 * What master and slave send each other. The descriptors are copies of the sender's, and belong to
 * whoever takes the letter.
 */
final class Letter {
  /** What it says; named as the product's messages. */
  enum Kind {
    HELLO,
    SESSION,
    RELAY,
    ANSWER,
    SESSION_CLOSE,
    SESSION_CLOSED,
    SEAT_TAKEN,
    ADOPTED
  }

  final Kind kind;
  final SimSlave slave;
  final int masterNumber;
  final long sessionId;
  long sequence;
  long version;
  byte[] bytes = {};
  byte[] record = {};
  int[] slots = {};
  int[] sources = {};
  int[] replyFds = {};
  int[] fds = {};
  boolean flag;

  Letter(final Kind kind, final SimSlave slave, final int masterNumber, final long sessionId) {
    this.kind = kind;
    this.slave = slave;
    this.masterNumber = masterNumber;
    this.sessionId = sessionId;
  }

  static int[] copies(final int[] fds) {
    return Arrays.stream(fds).map(Fds::duplicate).toArray();
  }

  static void closeAll(final int[] fds) {
    for (final int fd : fds) {
      Fds.close(fd);
    }
  }

  /** Nobody takes it any more. */
  void drop() {
    closeAll(fds);
    closeAll(replyFds);
    fds = new int[0];
    replyFds = new int[0];
  }
}

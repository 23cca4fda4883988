package io.virtnvme.slave.qpair;

import io.virtnvme.slave.ring.InPlaceRecovery.Progress;

/** What a reactor knows of the request in one slot of the journal. */
final class QpairTask {
  /** How far it has come. */
  enum State {
    FREE(Progress.NOT_STARTED),
    /** In the journal; waits for room in the channel, or for its turn. */
    FETCHED(Progress.NOT_STARTED),
    /** The channel has it, or may have it. */
    HELD(Progress.HELD),
    /** The same, but the journal does not know it any more: its end means nothing. */
    ORPHAN(Progress.HELD),
    /** Ended; its completion is to be posted. */
    DONE(Progress.DONE);

    final Progress progress;

    State(final Progress progress) {
      this.progress = progress;
    }
  }

  final int slot;
  State state = State.FREE;
  int operation;
  int flags;
  long offsetBytes;
  long lengthBytes;
  long startNs;

  /** Errno, 0 for success. */
  int status;

  QpairTask(final int slot) {
    this.slot = slot;
  }
}

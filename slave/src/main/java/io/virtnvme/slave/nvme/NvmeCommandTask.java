package io.virtnvme.slave.nvme;

import io.virtnvme.slave.bdev.BlockChannel;
import io.virtnvme.slave.ring.InPlaceRecovery.Progress;

/**
 * One command from fetch to completion; made once per journal slot and used again. One reactor
 * thread.
 */
final class NvmeCommandTask {
  /** Where a command stands. Recovery in place relies on the order of its stores. */
  enum State {
    /** No command. */
    FREE,
    /** In the journal; nothing of it was looked at, or it must be looked at again. */
    FETCHED,
    /** Checked; the channel had no room for its next step, or others were to have their turn. */
    PREPARED,
    /** Inside the call of the channel. After an error there, nobody knows who has it. */
    SUBMITTING,
    /** The channel has it. */
    SUBMITTED,
    /** It ended, and waits for its completion to be posted. */
    DONE,
    /** The control thread has it: an admin command. */
    HANDED,
    /** The channel has it, but the journal does not know it any more; its end is ignored. */
    ORPHAN;

    Progress progress() {
      return switch (this) {
        case FREE, FETCHED, PREPARED -> Progress.NOT_STARTED;
        case SUBMITTING, SUBMITTED, ORPHAN -> Progress.HELD;
        case DONE -> Progress.DONE;
        case HANDED -> Progress.PARKED;
      };
    }

    boolean isHeld() {
      return progress() == Progress.HELD;
    }
  }

  /** What a command asks of the channel. */
  enum Work {
    /** One request. */
    ONE,
    /** A flush of each namespace. */
    FLUSH_ALL,
    /** A request for each range in the task's buffer. */
    DEALLOCATE,
    /** Reads into the task's buffer, compared with guest memory. */
    COMPARE,
    /** Reads into the task's buffer. */
    VERIFY
  }

  static final int NO_BLOCK = -1;

  /** The queue that it came from; null for the reactor's own flush. */
  final SubmissionRing ring;

  final int slot;
  State state = State.FREE;

  /** Which memory map and namespaces it uses. */
  int generation;

  long startNs;
  int block = NO_BLOCK;
  int bounce = NO_BLOCK;

  // What is asked for; set by NvmeIoHandler.
  int opcode;
  int namespaceId;
  Work work = Work.ONE;
  BlockChannel channel;

  /** Counts for its namespace; null for a command that has none, or all of them. */
  DiskCounters counters;

  int blockShift;
  int operation;
  int flags;
  int iovecCount;
  long offsetBytes;

  /** Bytes of the disk that it is about. */
  long dataBytes;

  /** Of these, how many are behind it; for what takes several steps. */
  long doneBytes;

  /** Bytes of the step that is submitted. */
  long stepBytes;

  /** Number of the range, or id of the namespace, that is submitted. */
  int step;

  int stepCount;

  // How it ended.
  int status;
  int result;
  int location = CommandError.NO_LOCATION;

  /** Runs when its completion is posted, or null. */
  Runnable whenPosted;

  NvmeCommandTask(final SubmissionRing ring, final int slot) {
    this.ring = ring;
    this.slot = slot;
  }

  /** Forgets all but its place; what it holds is counted anew by whoever calls this. */
  void reset(final State newState) {
    block = NO_BLOCK;
    bounce = NO_BLOCK;
    state = newState;
  }
}

package io.virtnvme.slave.virtqueue;

import io.virtnvme.slave.blk.BlkTask;

/**
 * What becomes of a request when its agent was left by an error in the middle of a step: a table
 * over how far its task had come, which private memory kept, and over whether the journal has it.
 * Pure functions; exactly one row matches each combination.
 */
enum InPlaceRecovery {
  /** Never fetched, or published and its task freed. */
  IDLE(Progress.NOT_STARTED, false, Decision.FREE),
  /** In the journal and not brought further; the task may not even know of the fetch. */
  FETCHED(Progress.NOT_STARTED, true, Decision.RUN_AGAIN),
  /**
   * No error does this, somebody scribbled on the journal: the channel has it, and its end means
   * nothing.
   */
  HELD_UNKNOWN(Progress.HELD, false, Decision.ORPHAN),
  /**
   * The channel has it, or the error hit inside its call: its end comes, or {@link
   * VirtqueueAgent#onChannelIdle} runs it again.
   */
  HELD(Progress.HELD, true, Decision.KEEP),
  /** No error does this, somebody scribbled on the journal. */
  ENDED_UNKNOWN(Progress.ENDED, false, Decision.FREE),
  /** The channel told its end; status byte and dirty log may lack it. */
  ENDED(Progress.ENDED, true, Decision.FINISH),
  /** Published; the error hit before its task was freed. */
  PUBLISHED(Progress.DONE, false, Decision.FREE),
  /** All is done but the publication. */
  DONE(Progress.DONE, true, Decision.PUBLISH),
  /** No error does this, somebody scribbled on the journal. */
  STUCK_UNKNOWN(Progress.STUCK, false, Decision.FREE),
  /** Cannot be answered, now as before. */
  STUCK(Progress.STUCK, true, Decision.STAY);

  /** How far the task had come. */
  enum Progress {
    NOT_STARTED,
    HELD,
    ENDED,
    DONE,
    STUCK;

    static Progress of(final BlkTask.State state) {
      return switch (state) {
        case FREE, FETCHED, PREPARED -> NOT_STARTED;
        case SUBMITTING, SUBMITTED, ORPHAN -> HELD;
        case ENDED -> ENDED;
        case DONE -> DONE;
        case STUCK -> STUCK;
      };
    }
  }

  /** What to do with the task. */
  enum Decision {
    FREE,
    RUN_AGAIN,
    KEEP,
    ORPHAN,
    FINISH,
    PUBLISH,
    STAY
  }

  private static final InPlaceRecovery[] ROWS = values();

  private final Progress progress;
  private final boolean inJournal;
  private final Decision decision;

  InPlaceRecovery(final Progress progress, final boolean inJournal, final Decision decision) {
    this.progress = progress;
    this.inJournal = inJournal;
    this.decision = decision;
  }

  boolean matches(final BlkTask.State state, final boolean isInJournal) {
    return inJournal == isInJournal && progress == Progress.of(state);
  }

  static Decision decide(final BlkTask.State state, final boolean isInJournal) {
    for (final InPlaceRecovery row : ROWS) {
      if (row.matches(state, isInJournal)) {
        return row.decision;
      }
    }
    throw new IllegalStateException("no row for " + state + ", inJournal=" + isInJournal);
  }

  /** Whether the channel may report the end of a request in this state. */
  static boolean isHeld(final BlkTask.State state) {
    return Progress.of(state) == Progress.HELD;
  }
}

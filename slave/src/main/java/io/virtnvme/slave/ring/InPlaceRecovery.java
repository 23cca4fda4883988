package io.virtnvme.slave.ring;

/**
 * What becomes of a request when its agent was left by an error in the middle of a step: a table
 * over how far its task had come, which private memory kept, and over whether the journal has it.
 * Pure functions; exactly one row matches each combination.
 */
public enum InPlaceRecovery {
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
   * RingAgent#onChannelIdle} runs it again.
   */
  HELD(Progress.HELD, true, Decision.KEEP),
  /** No error does this, somebody scribbled on the journal. */
  ENDED_UNKNOWN(Progress.ENDED, false, Decision.FREE),
  /** The channel told its end; the guest's memory may lack it. */
  ENDED(Progress.ENDED, true, Decision.FINISH),
  /** Published; the error hit before its task was freed. */
  PUBLISHED(Progress.DONE, false, Decision.FREE),
  /** All is done but the publication. */
  DONE(Progress.DONE, true, Decision.PUBLISH),
  /** No error does this, somebody scribbled on the journal. */
  PARKED_UNKNOWN(Progress.PARKED, false, Decision.FREE),
  /** The ring can bring it no further, now as before. */
  PARKED(Progress.PARKED, true, Decision.STAY);

  /** How far the task had come. */
  public enum Progress {
    /** Nothing outside the task knows of it. */
    NOT_STARTED,
    /** The channel has it, or may have it. */
    HELD,
    /** Ended, and not all of its end is written. */
    ENDED,
    /** Ready to be published. */
    DONE,
    /** Waits for something that no reactor brings. */
    PARKED
  }

  /** What to do with the task. */
  public enum Decision {
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

  boolean matches(final Progress actual, final boolean isInJournal) {
    return inJournal == isInJournal && progress == actual;
  }

  /**
   * What becomes of a task.
   *
   * @param progress how far it had come
   * @param isInJournal whether the journal has its request inflight
   */
  public static Decision decide(final Progress progress, final boolean isInJournal) {
    for (final InPlaceRecovery row : ROWS) {
      if (row.matches(progress, isInJournal)) {
        return row.decision;
      }
    }
    throw new IllegalStateException("no row for " + progress + ", inJournal=" + isInJournal);
  }
}

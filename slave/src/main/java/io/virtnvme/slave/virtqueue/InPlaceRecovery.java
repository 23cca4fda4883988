package io.virtnvme.slave.virtqueue;

import io.virtnvme.slave.blk.BlkTask;

/**
 * What becomes of a request when its agent was left by an error in the middle of a step: a table
 * over the state of its task, which private memory kept, and over whether the journal has it. Pure
 * functions; exactly one row matches each combination.
 */
enum InPlaceRecovery {
  /**
   * Published, or never fetched: the error hit before the task's state, or after the journal's, was
   * changed.
   */
  UNKNOWN(false, Decision.FREE, States.NOT_HELD),
  /** Noted in the journal and not brought further. The task's state may be older than the fetch. */
  FETCHED(true, Decision.RUN_AGAIN, States.NOT_STARTED),
  /**
   * The channel has it, or the error hit inside its call: its end comes, or {@link
   * VirtqueueAgent#onChannelIdle} runs it again.
   */
  HELD(true, Decision.KEEP, States.HELD),
  /**
   * No error does this, the journal was scribbled on: the channel has it, and its end means
   * nothing.
   */
  SCRIBBLED(false, Decision.ORPHAN, States.HELD),
  /** The channel told its end; status byte and dirty log may lack it. */
  ENDED(true, Decision.FINISH, States.ENDED),
  /** Everything done but the publication. */
  DONE(true, Decision.PUBLISH, States.DONE),
  /** Cannot be answered, now as before. */
  STUCK(true, Decision.STAY, States.STUCK);

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

  /** Groups of task states that a row takes together. */
  private enum States {
    NOT_STARTED(BlkTask.State.FREE, BlkTask.State.FETCHED, BlkTask.State.PREPARED),
    HELD(BlkTask.State.SUBMITTING, BlkTask.State.SUBMITTED, BlkTask.State.ORPHAN),
    NOT_HELD(
        BlkTask.State.FREE,
        BlkTask.State.FETCHED,
        BlkTask.State.PREPARED,
        BlkTask.State.ENDED,
        BlkTask.State.DONE,
        BlkTask.State.STUCK),
    ENDED(BlkTask.State.ENDED),
    DONE(BlkTask.State.DONE),
    STUCK(BlkTask.State.STUCK);

    private final BlkTask.State[] members;

    States(final BlkTask.State... members) {
      this.members = members;
    }

    boolean contain(final BlkTask.State state) {
      for (final BlkTask.State member : members) {
        if (member == state) {
          return true;
        }
      }
      return false;
    }
  }

  private static final InPlaceRecovery[] ROWS = values();

  private final boolean inJournal;
  private final Decision decision;
  private final States states;

  InPlaceRecovery(final boolean inJournal, final Decision decision, final States states) {
    this.inJournal = inJournal;
    this.decision = decision;
    this.states = states;
  }

  boolean matches(final BlkTask.State state, final boolean isInJournal) {
    return inJournal == isInJournal && states.contain(state);
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
    return States.HELD.contain(state);
  }
}

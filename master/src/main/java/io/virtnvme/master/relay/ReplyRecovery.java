package io.virtnvme.master.relay;

import io.virtnvme.ipc.segment.SessionSegment;
import io.virtnvme.ipc.sys.FdMessage;
import java.util.List;

/**
 * What a new master does about the message that its predecessor was busy with when it was killed.
 *
 * <p>A message goes through these steps; (k) are done by the kernel within one system call, so the
 * predecessor was killed before or after, never inside:
 *
 * <pre>
 *  1 relay to the slave, wait for its answer, store it, copy it to every standby
 *  2 clear both witnesses
 *  3 pending = sequence
 *  4 send the reply, reply witness = its length (k)      only if there is a reply
 *  5 take the message out, taken witness = its length (k)
 *  6 settled = sequence
 * </pre>
 */
final class ReplyRecovery {
  /** How the pending sequence stands to the settled one. */
  enum Pending {
    /** The same: steps 4 to 6 are not under way. */
    NONE,
    /** One more: they are. */
    NEXT,
    /** Neither: no master leaves this behind. */
    IMPOSSIBLE
  }

  /** What to do with the session. */
  enum Decision {
    /** The next message in the socket, if any, is a message like every other. */
    GO_ON,
    /**
     * The message is in the socket still and its reply is on its way: let a slave do it again,
     * which gives the same state, throw its reply away, and go on with step 5.
     */
    REPEAT_WITHOUT_REPLY,
    /** Only step 6 is missing. */
    SETTLE,
    /** The segment was overwritten: end the session, the front-end connects again. */
    CLOSE
  }

  /** One row; null stands for either. */
  record Row(
      String label,
      Pending pending,
      Boolean replied,
      Boolean taken,
      Decision decision,
      String killedWhere) {
    boolean matches(final Pending p, final boolean r, final boolean t) {
      return pending == p && (replied == null || replied == r) && (taken == null || taken == t);
    }
  }

  static final List<Row> ROWS =
      List.of(
          new Row(
              "IDLE_OR_ASKED",
              Pending.NONE,
              null,
              null,
              Decision.GO_ON,
              "before step 3 or after step 6; the witnesses speak of a message that is over"),
          new Row(
              "ANSWERED",
              Pending.NEXT,
              false,
              false,
              Decision.GO_ON,
              "after step 3: nothing left, nothing taken, so the message is asked about once more"),
          new Row(
              "REPLIED",
              Pending.NEXT,
              true,
              false,
              Decision.REPEAT_WITHOUT_REPLY,
              "after step 4: the front-end must not see a second reply"),
          new Row(
              "TAKEN_SILENTLY",
              Pending.NEXT,
              false,
              true,
              Decision.SETTLE,
              "after step 5 of a message without reply"),
          new Row(
              "TAKEN",
              Pending.NEXT,
              true,
              true,
              Decision.SETTLE,
              "after step 5 of a message with reply"),
          new Row(
              "OVERWRITTEN",
              Pending.IMPOSSIBLE,
              null,
              null,
              Decision.CLOSE,
              "nowhere: some other program wrote to the segment"));

  private ReplyRecovery() {}

  static Row row(final Pending pending, final boolean replied, final boolean taken) {
    for (final Row row : ROWS) {
      if (row.matches(pending, replied, taken)) {
        return row;
      }
    }
    throw new IllegalStateException(
        "no row for pending=" + pending + " replied=" + replied + " taken=" + taken);
  }

  /** The row for what a dead master left in a session's segment. */
  static Row row(final SessionSegment segment) {
    final long ahead = segment.pendingSequence() - segment.settledSequence();
    final Pending pending =
        ahead == 0 ? Pending.NONE : ahead == 1 ? Pending.NEXT : Pending.IMPOSSIBLE;
    return row(
        pending,
        FdMessage.witnessedBytes(segment.replyWitness()) > 0,
        FdMessage.witnessedBytes(segment.takenWitnesses()) > 0);
  }
}

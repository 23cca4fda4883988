package io.virtnvme.master.nvme;

import static io.virtnvme.master.nvme.RepairCue.ASKED;
import static io.virtnvme.master.nvme.RepairCue.BROKEN;
import static io.virtnvme.master.nvme.RepairCue.CALLED_OFF;
import static io.virtnvme.master.nvme.RepairCue.HUNG;
import static io.virtnvme.master.nvme.RepairCue.HUNG_AGAIN;
import static io.virtnvme.master.nvme.RepairCue.LOST;
import static io.virtnvme.master.nvme.RepairCue.TIME_UP;
import static io.virtnvme.master.nvme.RepairCue.WELL;
import static io.virtnvme.master.nvme.RepairState.ABORTING;
import static io.virtnvme.master.nvme.RepairState.FAILED;
import static io.virtnvme.master.nvme.RepairState.GONE;
import static io.virtnvme.master.nvme.RepairState.LINK_DOWN;
import static io.virtnvme.master.nvme.RepairState.PAUSING;
import static io.virtnvme.master.nvme.RepairState.RESETTING;
import static io.virtnvme.master.nvme.RepairState.SHUTTING;
import static io.virtnvme.master.nvme.RepairState.WATCHING;

import java.util.EnumSet;
import java.util.List;
import java.util.Set;

/**
 * The steps of a repair: exactly one row for each state, each cue, and whether another reset is
 * within the limit. Where the next state is the same nothing happens.
 */
final class RepairTable {
  /** Whether the window has room for another reset. */
  enum Resets {
    LEFT,
    SPENT,
    ANY
  }

  record Row(RepairState state, Set<RepairCue> cues, Resets resets, RepairState next) {
    boolean fits(final RepairState now, final RepairCue cue, final boolean isResetLeft) {
      return state == now
          && cues.contains(cue)
          && (resets == Resets.ANY || (resets == Resets.LEFT) == isResetLeft);
    }
  }

  static final List<Row> ROWS =
      List.of(
          row(WATCHING, Resets.ANY, WATCHING, WELL, TIME_UP, CALLED_OFF),
          // The least that may help: one command, not the whole controller.
          row(WATCHING, Resets.ANY, ABORTING, HUNG),
          row(WATCHING, Resets.LEFT, SHUTTING, HUNG_AGAIN, BROKEN),
          row(WATCHING, Resets.SPENT, FAILED, HUNG_AGAIN, BROKEN),
          row(WATCHING, Resets.ANY, LINK_DOWN, LOST),
          row(WATCHING, Resets.ANY, SHUTTING, ASKED),
          row(ABORTING, Resets.ANY, WATCHING, WELL),
          row(ABORTING, Resets.ANY, ABORTING, HUNG, HUNG_AGAIN, CALLED_OFF),
          row(ABORTING, Resets.LEFT, SHUTTING, BROKEN, TIME_UP),
          row(ABORTING, Resets.SPENT, FAILED, BROKEN, TIME_UP),
          row(ABORTING, Resets.ANY, LINK_DOWN, LOST),
          row(ABORTING, Resets.ANY, SHUTTING, ASKED),
          // A link that is back has a controller behind it that forgot its queues.
          row(LINK_DOWN, Resets.LEFT, SHUTTING, WELL),
          row(LINK_DOWN, Resets.SPENT, FAILED, WELL),
          row(LINK_DOWN, Resets.ANY, GONE, TIME_UP),
          row(LINK_DOWN, Resets.ANY, LINK_DOWN, HUNG, HUNG_AGAIN, BROKEN, LOST, ASKED, CALLED_OFF),
          // No controller is reset while a slave may touch its queues.
          row(SHUTTING, Resets.ANY, RESETTING, WELL),
          row(SHUTTING, Resets.ANY, FAILED, TIME_UP),
          row(SHUTTING, Resets.ANY, WATCHING, CALLED_OFF),
          row(SHUTTING, Resets.ANY, SHUTTING, HUNG, HUNG_AGAIN, BROKEN, LOST, ASKED),
          row(RESETTING, Resets.ANY, WATCHING, WELL),
          row(RESETTING, Resets.LEFT, PAUSING, BROKEN),
          row(RESETTING, Resets.SPENT, FAILED, BROKEN),
          row(RESETTING, Resets.ANY, FAILED, TIME_UP),
          row(RESETTING, Resets.ANY, LINK_DOWN, LOST),
          row(RESETTING, Resets.ANY, RESETTING, HUNG, HUNG_AGAIN, ASKED, CALLED_OFF),
          row(PAUSING, Resets.ANY, SHUTTING, TIME_UP, ASKED),
          row(PAUSING, Resets.ANY, PAUSING, WELL, HUNG, HUNG_AGAIN, BROKEN, LOST, CALLED_OFF),
          row(FAILED, Resets.ANY, SHUTTING, ASKED),
          row(FAILED, Resets.ANY, GONE, LOST),
          row(FAILED, Resets.ANY, FAILED, WELL, HUNG, HUNG_AGAIN, BROKEN, TIME_UP, CALLED_OFF),
          row(GONE, Resets.ANY, SHUTTING, ASKED),
          row(GONE, Resets.ANY, GONE, WELL, HUNG, HUNG_AGAIN, BROKEN, LOST, TIME_UP, CALLED_OFF));

  private RepairTable() {}

  private static Row row(
      final RepairState state,
      final Resets resets,
      final RepairState next,
      final RepairCue first,
      final RepairCue... others) {
    return new Row(state, EnumSet.of(first, others), resets, next);
  }

  /** The state that follows. */
  static RepairState next(final RepairState state, final RepairCue cue, final boolean isResetLeft) {
    for (final Row row : ROWS) {
      if (row.fits(state, cue, isResetLeft)) {
        return row.next();
      }
    }
    throw new IllegalStateException("no row: " + state + " " + cue + " reset left=" + isResetLeft);
  }
}

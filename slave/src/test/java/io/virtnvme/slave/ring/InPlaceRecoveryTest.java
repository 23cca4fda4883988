package io.virtnvme.slave.ring;

import static org.junit.jupiter.api.Assertions.assertEquals;

import io.virtnvme.slave.blk.BlkTask;
import java.util.Arrays;
import java.util.EnumSet;
import java.util.Set;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

/** The table of recovery in place, over every combination. */
class InPlaceRecoveryTest {
  @ParameterizedTest
  @EnumSource(BlkTask.State.class)
  void shouldHaveOneRowForEachState(final BlkTask.State state) {
    for (final boolean inJournal : new boolean[] {false, true}) {
      final long rows =
          Arrays.stream(InPlaceRecovery.values())
              .filter(row -> row.matches(state.progress(), inJournal))
              .count();
      assertEquals(1, rows, state + ", inJournal=" + inJournal);
    }
  }

  @Test
  void shouldUseEveryRow() {
    final Set<InPlaceRecovery> used = EnumSet.noneOf(InPlaceRecovery.class);
    for (final BlkTask.State state : BlkTask.State.values()) {
      for (final InPlaceRecovery row : InPlaceRecovery.values()) {
        if (row.matches(state.progress(), false) || row.matches(state.progress(), true)) {
          used.add(row);
        }
      }
    }
    assertEquals(EnumSet.allOf(InPlaceRecovery.class), used);
  }

  /** What the channel has is never run again nor freed, whatever the journal says. */
  @ParameterizedTest
  @EnumSource(
      value = BlkTask.State.class,
      names = {"SUBMITTING", "SUBMITTED", "ORPHAN"})
  void shouldLeaveTheChannelWhatItHas(final BlkTask.State state) {
    assertEquals(InPlaceRecovery.Decision.KEEP, InPlaceRecovery.decide(state.progress(), true));
    assertEquals(InPlaceRecovery.Decision.ORPHAN, InPlaceRecovery.decide(state.progress(), false));
  }
}

package io.virtnvme.slave.virtqueue;

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
              .filter(row -> row.matches(state, inJournal))
              .count();
      assertEquals(1, rows, state + ", inJournal=" + inJournal);
    }
  }

  @Test
  void shouldUseEveryRow() {
    final Set<InPlaceRecovery> used = EnumSet.noneOf(InPlaceRecovery.class);
    for (final BlkTask.State state : BlkTask.State.values()) {
      for (final InPlaceRecovery row : InPlaceRecovery.values()) {
        if (row.matches(state, false) || row.matches(state, true)) {
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
    assertEquals(InPlaceRecovery.Decision.KEEP, InPlaceRecovery.decide(state, true));
    assertEquals(InPlaceRecovery.Decision.ORPHAN, InPlaceRecovery.decide(state, false));
  }
}

package io.virtnvme.master.nvme;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.EnumSet;
import java.util.Set;
import org.junit.jupiter.api.Test;

class RepairTableTest {
  private static final Set<RepairState> AT_REST =
      EnumSet.of(RepairState.WATCHING, RepairState.FAILED, RepairState.GONE);

  @Test
  void shouldHaveExactlyOneRowForEachCase() {
    for (final RepairState state : RepairState.values()) {
      for (final RepairCue cue : RepairCue.values()) {
        for (final boolean isResetLeft : new boolean[] {false, true}) {
          final long fitting =
              RepairTable.ROWS.stream().filter(row -> row.fits(state, cue, isResetLeft)).count();
          assertEquals(1, fitting, state + " " + cue + " reset left=" + isResetLeft);
        }
      }
    }
  }

  @Test
  void shouldResetOnlyBehindShutGates() {
    for (final RepairTable.Row row : RepairTable.ROWS) {
      if (row.next() == RepairState.RESETTING && row.state() != RepairState.RESETTING) {
        assertEquals(RepairState.SHUTTING, row.state());
        assertEquals(Set.of(RepairCue.WELL), row.cues(), "no slave touches a queue");
      }
      if (row.next() == RepairState.WATCHING && row.state().isShut()) {
        assertTrue(
            row.state() == RepairState.RESETTING || row.cues().equals(Set.of(RepairCue.CALLED_OFF)),
            "gates open after a reset, or when there is none");
      }
    }
  }

  @Test
  void shouldTryNoResetBeyondTheLimitButTheOperators() {
    for (final RepairState state : RepairState.values()) {
      for (final RepairCue cue : EnumSet.complementOf(EnumSet.of(RepairCue.ASKED))) {
        final RepairState next = RepairTable.next(state, cue, false);
        if (next == RepairState.SHUTTING || next == RepairState.PAUSING) {
          // Only what was begun goes on.
          assertTrue(
              state == next || state == RepairState.PAUSING, () -> state + " " + cue + " " + next);
        }
      }
    }
  }

  @Test
  void shouldEndEachStateByItselfThatHasALimit() {
    for (final RepairState first : RepairState.values()) {
      assertEquals(
          AT_REST.contains(first), first.limitNs(RepairOptions.DEFAULT) == 0, first::label);
      for (final boolean isResetLeft : new boolean[] {false, true}) {
        RepairState state = first;
        for (int i = 0; i < RepairState.values().length; i++) {
          state = RepairTable.next(state, RepairCue.TIME_UP, isResetLeft);
        }
        final RepairState last = state;
        assertTrue(AT_REST.contains(last), () -> first + " ends in " + last);
      }
    }
  }

  @Test
  void shouldLetTheOperatorHaveAnotherTry() {
    for (final RepairState state : AT_REST) {
      assertEquals(RepairState.SHUTTING, RepairTable.next(state, RepairCue.ASKED, false));
    }
  }

  @Test
  void shouldHaveEveryStateInTheDocument() throws IOException {
    final String document = Files.readString(Path.of("..", "docs", "devices.md"));
    for (final RepairState state : RepairState.values()) {
      assertTrue(document.contains("| `" + state.label() + "` |"), state::label);
    }
    for (final Trouble trouble : EnumSet.complementOf(EnumSet.of(Trouble.NONE))) {
      assertTrue(document.contains("| `" + trouble.label() + "` |"), trouble::label);
    }
    for (final ControllerState state : ControllerState.values()) {
      assertTrue(document.contains("| `" + state.label() + "` |"), state::label);
    }
  }
}

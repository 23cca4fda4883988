package io.virtnvme.journal;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.virtnvme.journal.DeviceQueueRecovery.Bell;
import io.virtnvme.journal.DeviceQueueRecovery.Entry;
import io.virtnvme.journal.DeviceQueueRecovery.HeaderCase;
import io.virtnvme.journal.DeviceQueueRecovery.Place;
import io.virtnvme.journal.DeviceQueueRecovery.SlotCase;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.function.Predicate;
import org.junit.jupiter.api.Test;

/** Every combination of what can be found has exactly one row, and this decision. */
class DeviceQueueRecoveryTableTest {
  private static <T> T only(final T[] rows, final Predicate<T> matches, final Object inputs) {
    final List<T> found = Arrays.stream(rows).filter(matches).toList();
    assertEquals(1, found.size(), () -> inputs + " matches " + found);
    return found.get(0);
  }

  @Test
  void shouldDecideOnEveryHeader() {
    final List<String> decisions = new ArrayList<>();
    for (final boolean isSame : new boolean[] {true, false}) {
      for (final boolean isSound : new boolean[] {true, false}) {
        final String inputs = isSame + " " + isSound;
        final HeaderCase row = only(HeaderCase.values(), r -> r.matches(isSame, isSound), inputs);
        assertEquals(row, HeaderCase.of(isSame, isSound));
        decisions.add(inputs + ": " + row + " " + row.decision());
      }
    }
    assertEquals(
        List.of(
            "true true: KNOWN ADOPT",
            "true false: DAMAGED REFUSE",
            "false true: EARLIER_QUEUES INITIALISE",
            "false false: EARLIER_QUEUES INITIALISE"),
        decisions);
  }

  @Test
  void shouldDecideOnEverySlot() {
    final List<String> decisions = new ArrayList<>();
    for (final Place place : Place.values()) {
      for (final Bell bell : Bell.values()) {
        for (final Entry entry : Entry.values()) {
          final String inputs = place + " " + bell + " " + entry;
          final SlotCase row = only(SlotCase.values(), r -> r.matches(place, bell, entry), inputs);
          assertEquals(row, SlotCase.of(place, bell, entry));
          decisions.add(inputs + ": " + row + " " + row.decision());
        }
      }
    }
    final List<String> expected = new ArrayList<>();
    for (final String bell : List.of("RUNG", "MAYBE")) {
      addAnyEntry(expected, "FREE " + bell, "IDLE KEEP");
    }
    for (final String bell : List.of("RUNG", "MAYBE")) {
      expected.add("ENDED_NOW " + bell + " NONE: REAPED_FROM_NOTHING CLEAR_AND_COUNT");
      expected.add("ENDED_NOW " + bell + " THIS: REAPED COUNT_COMPLETION");
      expected.add("ENDED_NOW " + bell + " OTHER: REAPED_FROM_ANOTHER CLEAR_AND_COUNT");
    }
    for (final String bell : List.of("RUNG", "MAYBE")) {
      addAnyEntry(expected, "ENDED_LATER " + bell, "ASTRAY CLEAR_AND_COUNT");
    }
    addAnyEntry(expected, "IN_FLIGHT RUNG", "HELD WAIT");
    addAnyEntry(expected, "IN_FLIGHT MAYBE", "TOLD_OR_NOT RING_AND_WAIT");
    for (final String bell : List.of("RUNG", "MAYBE")) {
      addAnyEntry(expected, "NEXT " + bell, "NEVER_SUBMITTED CLEAR");
    }
    for (final String bell : List.of("RUNG", "MAYBE")) {
      addAnyEntry(expected, "LATER " + bell, "GARBAGE CLEAR_AND_COUNT");
    }
    assertEquals(expected, decisions);
  }

  private static void addAnyEntry(
      final List<String> lines, final String inputs, final String outcome) {
    for (final String entry : List.of("NONE", "THIS", "OTHER")) {
      lines.add(inputs + " " + entry + ": " + outcome);
    }
  }

  @Test
  void shouldDrawTheLinesAtTheCounts() {
    for (final long submitted : new long[] {1, 8, 1L << 32, 1L << 60}) {
      assertEquals(Place.IN_FLIGHT, Place.of(1, submitted, 0));
      assertEquals(Place.IN_FLIGHT, Place.of(submitted, submitted, 0));
      assertEquals(Place.NEXT, Place.of(submitted + 1, submitted, 0));
      assertEquals(Place.LATER, Place.of(submitted + 2, submitted, 0));
      assertEquals(Place.LATER, Place.of(Long.MAX_VALUE, submitted, 0));
      assertEquals(Bell.RUNG, Bell.of(submitted, submitted));
      assertEquals(Bell.MAYBE, Bell.of(submitted + 1, submitted));
      final long reaped = submitted;
      assertEquals(Place.FREE, Place.of(0, submitted, reaped));
      assertEquals(Place.FREE, Place.of(-reaped, submitted, reaped));
      assertEquals(Place.ENDED_NOW, Place.of(-reaped - 1, submitted, reaped));
      assertEquals(Place.ENDED_LATER, Place.of(-reaped - 2, submitted, reaped));
      assertEquals(Place.ENDED_LATER, Place.of(-Long.MAX_VALUE, submitted, reaped));
    }
  }

  @Test
  void shouldHaveEveryRowInTheDocument() throws IOException {
    final String document = Files.readString(Path.of("..", "docs", "journal.md"));
    final List<Enum<?>> rows = new ArrayList<>();
    rows.addAll(List.of(HeaderCase.values()));
    rows.addAll(List.of(SlotCase.values()));
    for (final Enum<?> row : rows) {
      assertTrue(document.contains("| `" + row.name() + "`"), () -> "not in journal.md: " + row);
    }
  }
}

package io.virtnvme.journal;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.function.Predicate;
import org.junit.jupiter.api.Test;

/** Every combination of what can be found has exactly one row, and this decision. */
class RecoveryTableTest {
  private static <T> T only(final T[] rows, final Predicate<T> matches, final Object inputs) {
    final List<T> found = Arrays.stream(rows).filter(matches).toList();
    assertEquals(1, found.size(), () -> inputs + " matches " + found);
    return found.get(0);
  }

  @Test
  void shouldDecideOnEveryHeader() {
    final List<String> decisions = new ArrayList<>();
    for (final HeaderCase.Version version : HeaderCase.Version.values()) {
      for (final HeaderCase.Size size : HeaderCase.Size.values()) {
        final String inputs = version + " " + size;
        final HeaderCase row = only(HeaderCase.values(), r -> r.matches(version, size), inputs);
        final int versionValue =
            switch (version) {
              case ZERO -> 0;
              case ONE -> 1;
              case OTHER -> 0xFFFF;
            };
        assertEquals(
            row, HeaderCase.of(versionValue, size == HeaderCase.Size.MATCH ? 8 : 9, 8), inputs);
        decisions.add(inputs + ": " + row + " " + row.decision());
      }
    }
    assertEquals(
        List.of(
            "ZERO MATCH: NEW INITIALISE",
            "ZERO MISMATCH: NEW INITIALISE",
            "ONE MATCH: KNOWN RECOVER",
            "ONE MISMATCH: WRONG_SIZE REFUSE",
            "OTHER MATCH: WRONG_VERSION REFUSE",
            "OTHER MISMATCH: WRONG_VERSION REFUSE"),
        decisions);
  }

  @Test
  void shouldDecideOnEveryLastBatchOfSplitRegion() {
    final List<String> decisions = new ArrayList<>();
    for (final SplitRecovery.Gap gap : SplitRecovery.Gap.values()) {
      final SplitRecovery.BatchCase row =
          only(SplitRecovery.BatchCase.values(), r -> r.matches(gap), gap);
      assertEquals(row, SplitRecovery.BatchCase.of(gap));
      decisions.add(gap + ": " + row + " " + row.decision());
    }
    assertEquals(
        List.of(
            "NONE: SETTLED TRUST_FLAGS",
            "UP_TO_QUEUE_SIZE: PUBLISHED CLEAR_LAST_BATCH",
            "BEYOND_QUEUE_SIZE: UNRELATED TRUST_FLAGS_AND_COUNT"),
        decisions);
  }

  @Test
  void shouldDrawTheLineOfTheGapAtTheQueueSize() {
    assertEquals(SplitRecovery.Gap.NONE, SplitRecovery.Gap.of(0, 4));
    assertEquals(SplitRecovery.Gap.UP_TO_QUEUE_SIZE, SplitRecovery.Gap.of(1, 4));
    assertEquals(SplitRecovery.Gap.UP_TO_QUEUE_SIZE, SplitRecovery.Gap.of(4, 4));
    assertEquals(SplitRecovery.Gap.BEYOND_QUEUE_SIZE, SplitRecovery.Gap.of(5, 4));
    assertEquals(SplitRecovery.Gap.BEYOND_QUEUE_SIZE, SplitRecovery.Gap.of(0xFFFF, 4));
  }

  @Test
  void shouldDecideOnEveryEntryOfSplitRegion() {
    final List<String> decisions = new ArrayList<>();
    for (final InflightFlag flag : InflightFlag.values()) {
      for (final SplitRecovery.LastBatch lastBatch : SplitRecovery.LastBatch.values()) {
        final String inputs = flag + " " + lastBatch;
        final SplitRecovery.EntryCase row =
            only(SplitRecovery.EntryCase.values(), r -> r.matches(flag, lastBatch), inputs);
        assertEquals(row, SplitRecovery.EntryCase.of(flag, lastBatch));
        decisions.add(inputs + ": " + row + " " + row.decision());
      }
    }
    assertEquals(
        List.of(
            "CLEAR MEMBER: FREE SKIP",
            "CLEAR OUTSIDE: FREE SKIP",
            "SET MEMBER: COMPLETED CLEAR",
            "SET OUTSIDE: INFLIGHT RESUBMIT",
            "GARBAGE MEMBER: GARBAGE CLEAR_AND_COUNT",
            "GARBAGE OUTSIDE: GARBAGE CLEAR_AND_COUNT"),
        decisions);
  }

  @Test
  void shouldDecideOnEveryLastBatchOfPackedRegion() {
    final List<String> decisions = new ArrayList<>();
    for (final PackedRecovery.Used used : PackedRecovery.Used.values()) {
      for (final PackedRecovery.RingSlot slot : PackedRecovery.RingSlot.values()) {
        final String inputs = used + " " + slot;
        final PackedRecovery.BatchCase row =
            only(PackedRecovery.BatchCase.values(), r -> r.matches(used, slot), inputs);
        assertEquals(row, PackedRecovery.BatchCase.of(used, slot));
        decisions.add(inputs + ": " + row + " " + row.decision());
      }
    }
    assertEquals(
        List.of(
            "SAME_AS_OLD AVAILABLE: SETTLED ROLL_BACK_FREE_LIST",
            "SAME_AS_OLD NOT_AVAILABLE: SETTLED ROLL_BACK_FREE_LIST",
            "AHEAD_OF_OLD AVAILABLE: UNPUBLISHED ROLL_BACK",
            "AHEAD_OF_OLD NOT_AVAILABLE: PUBLISHED COMMIT"),
        decisions);
  }

  @Test
  void shouldDecideOnEveryEntryOfPackedRegion() {
    final List<String> decisions = new ArrayList<>();
    for (final InflightFlag flag : InflightFlag.values()) {
      for (final PackedRecovery.Place place : PackedRecovery.Place.values()) {
        for (final PackedRecovery.Chain chain : PackedRecovery.Chain.values()) {
          final String inputs = flag + " " + place + " " + chain;
          final PackedRecovery.EntryCase row =
              only(PackedRecovery.EntryCase.values(), r -> r.matches(flag, place, chain), inputs);
          assertEquals(row, PackedRecovery.EntryCase.of(flag, place, chain));
          decisions.add(inputs + ": " + row + " " + row.decision());
        }
      }
    }
    assertEquals(
        List.of(
            "CLEAR FREE SOUND: IDLE SKIP",
            "CLEAR FREE BROKEN: IDLE SKIP",
            "CLEAR HELD SOUND: MEMBER SKIP",
            "CLEAR HELD BROKEN: MEMBER SKIP",
            "SET FREE SOUND: STALE CLEAR",
            "SET FREE BROKEN: STALE CLEAR",
            "SET HELD SOUND: INFLIGHT RESUBMIT",
            "SET HELD BROKEN: BROKEN_CHAIN CLEAR_AND_COUNT",
            "GARBAGE FREE SOUND: GARBAGE CLEAR_AND_COUNT",
            "GARBAGE FREE BROKEN: GARBAGE CLEAR_AND_COUNT",
            "GARBAGE HELD SOUND: GARBAGE CLEAR_AND_COUNT",
            "GARBAGE HELD BROKEN: GARBAGE CLEAR_AND_COUNT"),
        decisions);
  }

  @Test
  void shouldHaveEveryRowInTheDocument() throws IOException {
    final String document = Files.readString(Path.of("..", "docs", "journal.md"));
    final List<Enum<?>> rows = new ArrayList<>();
    rows.addAll(List.of(HeaderCase.values()));
    rows.addAll(List.of(SplitRecovery.BatchCase.values()));
    rows.addAll(List.of(SplitRecovery.EntryCase.values()));
    rows.addAll(List.of(PackedRecovery.BatchCase.values()));
    rows.addAll(List.of(PackedRecovery.EntryCase.values()));
    for (final Enum<?> row : rows) {
      assertTrue(document.contains("| `" + row.name() + "`"), () -> "not in journal.md: " + row);
    }
  }
}

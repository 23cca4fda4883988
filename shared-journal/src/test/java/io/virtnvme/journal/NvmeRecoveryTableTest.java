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
class NvmeRecoveryTableTest {
  private static <T> T only(final T[] rows, final Predicate<T> matches, final Object inputs) {
    final List<T> found = Arrays.stream(rows).filter(matches).toList();
    assertEquals(1, found.size(), () -> inputs + " matches " + found);
    return found.get(0);
  }

  @Test
  void shouldDecideOnEveryHeader() {
    final List<String> decisions = new ArrayList<>();
    for (final NvmeHeaderCase.Version version : NvmeHeaderCase.Version.values()) {
      for (final NvmeHeaderCase.Creation creation : NvmeHeaderCase.Creation.values()) {
        for (final NvmeHeaderCase.Size size : NvmeHeaderCase.Size.values()) {
          final String inputs = version + " " + creation + " " + size;
          final NvmeHeaderCase row =
              only(NvmeHeaderCase.values(), r -> r.matches(version, creation, size), inputs);
          final int versionValue =
              switch (version) {
                case ZERO -> 0;
                case ONE -> 1;
                case OTHER -> -1;
              };
          assertEquals(
              row,
              NvmeHeaderCase.of(
                  versionValue,
                  creation == NvmeHeaderCase.Creation.SAME,
                  size == NvmeHeaderCase.Size.MATCH),
              inputs);
          decisions.add(inputs + ": " + row + " " + row.decision());
        }
      }
    }
    assertEquals(
        List.of(
            "ZERO SAME MATCH: NEW INITIALISE",
            "ZERO SAME MISMATCH: NEW INITIALISE",
            "ZERO OTHER MATCH: NEW INITIALISE",
            "ZERO OTHER MISMATCH: NEW INITIALISE",
            "ONE SAME MATCH: KNOWN RECOVER",
            "ONE SAME MISMATCH: WRONG_SIZE REFUSE",
            "ONE OTHER MATCH: EARLIER_QUEUE INITIALISE",
            "ONE OTHER MISMATCH: EARLIER_QUEUE INITIALISE",
            "OTHER SAME MATCH: WRONG_VERSION REFUSE",
            "OTHER SAME MISMATCH: WRONG_VERSION REFUSE",
            "OTHER OTHER MATCH: WRONG_VERSION REFUSE",
            "OTHER OTHER MISMATCH: WRONG_VERSION REFUSE"),
        decisions);
  }

  @Test
  void shouldDecideOnEverySlot() {
    final List<String> decisions = new ArrayList<>();
    for (final NvmeRecovery.Fetch fetch : NvmeRecovery.Fetch.values()) {
      for (final NvmeRecovery.Intent intent : NvmeRecovery.Intent.values()) {
        for (final NvmeRecovery.Entry entry : NvmeRecovery.Entry.values()) {
          final String inputs = fetch + " " + intent + " " + entry;
          final NvmeRecovery.SlotCase row =
              only(NvmeRecovery.SlotCase.values(), r -> r.matches(fetch, intent, entry), inputs);
          assertEquals(row, NvmeRecovery.SlotCase.of(fetch, intent, entry));
          decisions.add(inputs + ": " + row + " " + row.decision());
        }
      }
    }
    final List<String> expected = new ArrayList<>();
    addAnyEntry(expected, "COMMITTED NONE", "INFLIGHT RESUBMIT");
    addAnyEntry(expected, "COMMITTED POSTED", "COMPLETED CLEAR");
    expected.add("COMMITTED NEXT THERE: PUBLISHED COMMIT");
    expected.add("COMMITTED NEXT OLD: INTENDED PUBLISH");
    expected.add("COMMITTED NEXT FOREIGN: INTENDED_BUT_FOREIGN PUBLISH_AND_COUNT");
    addAnyEntry(expected, "COMMITTED ASTRAY", "ASTRAY RESUBMIT_AND_COUNT");
    addAnyEntry(expected, "UNCOMMITTED NONE", "NEVER_FETCHED CLEAR");
    for (final String intent : List.of("POSTED", "NEXT", "ASTRAY")) {
      addAnyEntry(expected, "UNCOMMITTED " + intent, "NEVER_FETCHED_BUT_DECIDED CLEAR_AND_COUNT");
    }
    for (final String intent : List.of("NONE", "POSTED", "NEXT", "ASTRAY")) {
      addAnyEntry(expected, "BEYOND " + intent, "GARBAGE CLEAR_AND_COUNT");
    }
    assertEquals(expected, decisions);
  }

  private static void addAnyEntry(
      final List<String> lines, final String inputs, final String outcome) {
    for (final String entry : List.of("THERE", "OLD", "FOREIGN")) {
      lines.add(inputs + " " + entry + ": " + outcome);
    }
  }

  @Test
  void shouldDrawTheLinesOfFetchNumbersAtFetchedAndOneQueueFurther() {
    for (final long fetched : new long[] {8, 1L << 32, Long.MAX_VALUE, -9}) {
      assertEquals(NvmeRecovery.Fetch.COMMITTED, NvmeRecovery.Fetch.of(fetched - 1, fetched, 8));
      assertEquals(NvmeRecovery.Fetch.COMMITTED, NvmeRecovery.Fetch.of(0, fetched, 8));
      assertEquals(NvmeRecovery.Fetch.UNCOMMITTED, NvmeRecovery.Fetch.of(fetched, fetched, 8));
      assertEquals(NvmeRecovery.Fetch.UNCOMMITTED, NvmeRecovery.Fetch.of(fetched + 7, fetched, 8));
      assertEquals(NvmeRecovery.Fetch.BEYOND, NvmeRecovery.Fetch.of(fetched + 8, fetched, 8));
    }
  }

  @Test
  void shouldDrawTheLinesOfIntentsAtPostedAndOneBatchEarlier() {
    for (final long posted : new long[] {8, 1L << 32, 1L << 48, (1L << 48) + 3, 0, -1}) {
      assertEquals(NvmeRecovery.Intent.NONE, intent(0, posted, true));
      for (int back = 1; back < 8; back++) {
        assertEquals(
            NvmeRecovery.Intent.POSTED,
            intent(NvmeSqJournalDescriptor.intent(posted - back, 0x7FFF), posted, false));
      }
      final long earlier = NvmeSqJournalDescriptor.intent(posted - 8, 0);
      assertEquals(NvmeRecovery.Intent.ASTRAY, intent(earlier, posted, false));
      final long next = NvmeSqJournalDescriptor.intent(posted, 0);
      assertEquals(NvmeRecovery.Intent.NEXT, intent(next, posted, true));
      assertEquals(NvmeRecovery.Intent.ASTRAY, intent(next, posted, false));
    }
  }

  private static NvmeRecovery.Intent intent(
      final long intent, final long posted, final boolean isNext) {
    return NvmeRecovery.Intent.of(intent, posted, 8, isNext);
  }

  @Test
  void shouldHaveEveryRowInTheDocument() throws IOException {
    final String document = Files.readString(Path.of("..", "docs", "journal.md"));
    final List<Enum<?>> rows = new ArrayList<>();
    rows.addAll(List.of(NvmeHeaderCase.values()));
    rows.addAll(List.of(NvmeRecovery.SlotCase.values()));
    for (final Enum<?> row : rows) {
      assertTrue(document.contains("| `" + row.name() + "`"), () -> "not in journal.md: " + row);
    }
  }
}

package io.virtnvme.journal;

import static io.virtnvme.journal.NvmeCrashCut.COMPLETE;
import static io.virtnvme.journal.NvmeCrashCut.DIE;
import static io.virtnvme.journal.NvmeCrashCut.FETCH;
import static io.virtnvme.journal.NvmeCrashCut.FETCH_ALL;
import static io.virtnvme.journal.NvmeCrashCut.POLL;
import static io.virtnvme.journal.NvmeCrashCut.POLL_SOME;
import static io.virtnvme.journal.NvmeCrashCut.RECREATE;
import static io.virtnvme.journal.NvmeCrashCut.RESET;
import static io.virtnvme.journal.NvmeCrashCut.SUBMIT;
import static io.virtnvme.journal.NvmeCrashCut.word;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.ArrayList;
import java.util.List;
import net.jqwik.api.ForAll;
import net.jqwik.api.Property;
import net.jqwik.api.constraints.IntRange;
import net.jqwik.api.constraints.Size;
import net.jqwik.api.lifecycle.AfterContainer;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.Test;

/** A crash between any two stores of NVMe queues, and crashes inside recoveries, lose nothing. */
class NvmeCrashCutTest {
  /** Absolute numbers at which something wraps: 16, 32 and 48 bits, and the sign. */
  private static final long[] BASES = {
    0, 5, (1L << 16) - 2, (1L << 32) - 2, (1L << 48) - 2, Long.MAX_VALUE - 1
  };

  @Property(tries = 60)
  void shouldSurviveAnyCutOfAnyScript(
      @ForAll @Size(min = 4, max = 24) final List<@IntRange(max = 4095) Integer> script,
      @ForAll @IntRange(min = 1, max = 2) final int sqCount,
      @ForAll @IntRange(min = 2, max = 5) final int sqSize,
      @ForAll @IntRange(min = 2, max = 6) final int cqSize,
      @ForAll @IntRange(max = 5) final int fetchedBase,
      @ForAll @IntRange(max = 5) final int postedBase) {
    final NvmeArea area =
        new NvmeArea(sqCount, sqSize, cqSize, BASES[fetchedBase], BASES[postedBase]);
    try (NvmeCrashCut cut = new NvmeCrashCut(area)) {
      cut.run(script);
    }
  }

  @Test
  void shouldSurviveAnyCutOfBatchesOfTwoQueuesOverManyLaps() {
    final List<Integer> script = new ArrayList<>();
    for (int round = 0; round < 8; round++) {
      script.add(word(SUBMIT, 2));
      script.add(word(SUBMIT, 5));
      script.add(word(FETCH_ALL, 0));
      script.add(word(COMPLETE, 1 + 5 * round));
      script.add(word(POLL, 0));
      script.add(word(COMPLETE, 3 + 5 * round));
      script.add(word(POLL_SOME, round));
    }
    for (final long base : BASES) {
      try (NvmeCrashCut cut = new NvmeCrashCut(new NvmeArea(2, 4, 5, base, base))) {
        cut.run(script);
        assertTrue(cut.cutCount() > 1000, () -> "only " + cut.cutCount());
      }
    }
  }

  /** The driver takes nothing for a while: the completion queue fills, its phase wraps. */
  @Test
  void shouldSurviveAnyCutOfFullCompletionQueueAtEveryIndex() {
    for (int cqSize = 2; cqSize <= 4; cqSize++) {
      for (int start = 0; start < 2 * cqSize; start++) {
        final List<Integer> script = new ArrayList<>();
        for (int round = 0; round < 3; round++) {
          script.add(word(SUBMIT, 2));
          script.add(word(FETCH, 2));
          script.add(word(COMPLETE, 4));
          script.add(word(SUBMIT, 2));
          script.add(word(FETCH, 2));
          script.add(word(COMPLETE, 4));
          script.add(word(POLL_SOME, 0));
          script.add(word(COMPLETE, 4));
          script.add(word(DIE, 0));
        }
        try (NvmeCrashCut cut = new NvmeCrashCut(new NvmeArea(1, 4, cqSize, start, start))) {
          cut.run(script);
          assertTrue(cut.cutCount() > 300, () -> "only " + cut.cutCount());
        }
      }
    }
  }

  /**
   * The driver gets entries back before commands end, so it has more of them outstanding than the
   * queue has entries; and whatever entry it gets back it overwrites at once.
   */
  @Test
  void shouldSurviveAnyCutWithMoreCommandsThanSlots() {
    final List<Integer> script = new ArrayList<>();
    for (int round = 0; round < 6; round++) {
      script.add(word(SUBMIT, 2));
      script.add(word(FETCH_ALL, 0));
      script.add(word(COMPLETE, 5 * round));
      script.add(word(POLL, 0));
    }
    try (NvmeCrashCut cut = new NvmeCrashCut(new NvmeArea(1, 4, 4, 0, 0))) {
      cut.run(script);
      assertTrue(cut.cutCount() > 1000, () -> "only " + cut.cutCount());
    }
  }

  @Test
  void shouldSurviveAnyCutOfQueueCreatedAgainWithCommandsInflight() {
    final List<Integer> script = new ArrayList<>();
    for (int round = 0; round < 3; round++) {
      script.add(word(SUBMIT, 2));
      script.add(word(SUBMIT, 3));
      script.add(word(FETCH_ALL, 0));
      script.add(word(COMPLETE, 5 * round));
      script.add(word(RECREATE, round % 2));
      script.add(word(SUBMIT, 2));
      script.add(word(SUBMIT, 3));
      script.add(word(FETCH_ALL, 0));
      script.add(word(COMPLETE, 1));
      script.add(word(DIE, 7 * round));
      script.add(word(RESET, 0));
      script.add(word(SUBMIT, 2));
      script.add(word(FETCH, 2));
      script.add(word(COMPLETE, 0));
    }
    try (NvmeCrashCut cut = new NvmeCrashCut(new NvmeArea(2, 4, 6, 0, 0))) {
      cut.run(script);
      assertTrue(cut.cutCount() > 1000, () -> "only " + cut.cutCount());
    }
  }

  @Test
  void shouldRecoverInPlaceFromAnErrorAtAnyStore() {
    final List<Integer> script = new ArrayList<>();
    for (int round = 0; round < 6; round++) {
      script.add(word(SUBMIT, 0));
      script.add(word(SUBMIT, 0));
      script.add(word(SUBMIT, 1));
      script.add(word(FETCH, 2));
      script.add(word(FETCH, 1));
      script.add(word(COMPLETE, 1 + 5 * round));
    }
    int store = 1;
    boolean isCut = true;
    while (isCut) {
      try (NvmeCrashCut cut = new NvmeCrashCut(new NvmeArea(2, 4, 5, 3, 9))) {
        isCut = cut.runWithErrorAt(script, store++);
      }
    }
    assertTrue(store > 200, "only " + store);
  }

  @AfterContainer
  static void tellStates() {
    System.out.println("NVMe crash states visited by properties: " + NvmeCrashCut.totalCount());
  }

  @AfterAll
  static void tellAllStates() {
    System.out.println("NVMe crash states visited: " + NvmeCrashCut.totalCount());
  }
}

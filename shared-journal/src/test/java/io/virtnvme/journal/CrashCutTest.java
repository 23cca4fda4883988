package io.virtnvme.journal;

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

/** A crash between any two stores, and crashes inside the recovery from it, lose nothing. */
class CrashCutTest {
  private static final int POST = 0;
  private static final int FETCH = 3;
  private static final int COMPLETE = 5;
  private static final int POLL = 6;

  @Property(tries = 150)
  void shouldSurviveAnyCutOfSplitQueue(
      @ForAll @Size(min = 4, max = 40) final List<@IntRange(max = 4095) Integer> script,
      @ForAll @IntRange(max = 2) final int sizeShift,
      @ForAll @IntRange(min = -6, max = 6) final int startIndex) {
    try (CrashCut cut = new CrashCut(new SplitQueue(2 << sizeShift, startIndex & 0xFFFF))) {
      cut.run(script);
    }
  }

  @Property(tries = 300)
  void shouldSurviveAnyCutOfPackedQueue(
      @ForAll @Size(min = 4, max = 40) final List<@IntRange(max = 4095) Integer> script,
      @ForAll @IntRange(min = 1, max = 7) final int queueSize,
      @ForAll @IntRange(max = 6) final int startIndex,
      @ForAll @IntRange(max = 1) final int startWrap) {
    try (CrashCut cut =
        new CrashCut(new PackedQueue(queueSize, startIndex % queueSize, startWrap))) {
      cut.run(script);
    }
  }

  @Test
  void shouldSurviveAnyCutOfFullBatchesOverTheIndexWrapOfSplitQueue() {
    try (CrashCut cut = new CrashCut(new SplitQueue(4, 0xFFFD))) {
      cut.run(fullRounds(4, 3, 2));
      assertTrue(cut.cutCount() > 1000, () -> "only " + cut.cutCount());
    }
  }

  @Test
  void shouldSurviveAnyCutOfFullBatchesOverTheWrapOfPackedQueue() {
    for (int startWrap = 0; startWrap < 2; startWrap++) {
      try (CrashCut cut = new CrashCut(new PackedQueue(4, 1, startWrap))) {
        cut.run(fullRounds(4, 3, 2));
        assertTrue(cut.cutCount() > 1000, () -> "only " + cut.cutCount());
      }
    }
  }

  @Test
  void shouldSurviveAnyCutOfChainsOverManyLapsOfPackedQueue() {
    for (int queueSize = 2; queueSize <= 7; queueSize++) {
      final List<Integer> script = new ArrayList<>();
      for (int round = 0; round < 12; round++) {
        for (int i = 0; i < 3; i++) {
          // The driver picks 1 + choice / queueSize % 3 descriptors for a request.
          script.add(POST + 8 * (queueSize * ((round + i) % 3) + i));
          script.add(FETCH);
        }
        script.add(COMPLETE + 8 * (round % 4));
        script.add(POLL);
      }
      try (CrashCut cut = new CrashCut(new PackedQueue(queueSize, queueSize - 1, 1))) {
        cut.run(script);
        assertTrue(cut.cutCount() > 1000, () -> "only " + cut.cutCount());
      }
    }
  }

  /**
   * The second request wraps and ends at ring index 1. The descriptor there is a middle one of the
   * first request: no used descriptor was ever written to it, and it still looks available to the
   * lap before. A recovery that sees that index with that lap's wrap counter goes wrong.
   */
  @Test
  void shouldSurviveAnyCutWhereUsedIndexLandsOnDescriptorOfTheLapBefore() {
    final int queueSize = 4;
    final int three = POST + 8 * (2 * queueSize);
    final int two = POST + 8 * queueSize;
    try (CrashCut cut = new CrashCut(new PackedQueue(queueSize, 0, 1))) {
      cut.run(List.of(three, FETCH, COMPLETE, POLL, two, FETCH, COMPLETE, POLL));
    }
  }

  /**
   * A region is new while its ring is old: after a pause, with requests waiting in the ring, again
   * and again, at any index and with either wrap counter.
   */
  @Test
  void shouldSurviveAnyCutOfNewRegionWithRingInUse() {
    for (int start = -3; start <= 3; start++) {
      try (CrashCut cut = new CrashCut(new SplitQueue(4, start & 0xFFFF))) {
        cut.run(renewals(4));
        assertTrue(cut.cutCount() > 1000, () -> "only " + cut.cutCount());
      }
    }
    for (int queueSize = 2; queueSize <= 6; queueSize++) {
      for (int start = 0; start < 2 * queueSize; start++) {
        final PackedQueue queue = new PackedQueue(queueSize, start % queueSize, start / queueSize);
        try (CrashCut cut = new CrashCut(queue)) {
          cut.run(renewals(queueSize));
          assertTrue(cut.cutCount() > 500, () -> "only " + cut.cutCount());
        }
      }
    }
  }

  private static List<Integer> renewals(final int queueSize) {
    final List<Integer> script = new ArrayList<>();
    for (int round = 0; round < 4; round++) {
      script.add(POST + 8 * (queueSize * (round % 2)));
      script.add(FETCH);
      script.add(POST + 8 * round);
      script.add(FETCH);
      script.add(COMPLETE + 8 * 1);
      script.add(CrashCut.NEW_REGION);
      script.add(FETCH);
      script.add(COMPLETE);
      script.add(POLL);
    }
    return script;
  }

  @AfterContainer
  static void tellStates() {
    System.out.println("crash states visited by properties: " + CrashCut.totalCount());
  }

  @AfterAll
  static void tellAllStates() {
    System.out.println("crash states visited: " + CrashCut.totalCount());
  }

  /** Rounds of filling the queue and completing first a batch of that many, then the rest. */
  private static List<Integer> fullRounds(
      final int queueSize, final int rounds, final int batchLength) {
    final List<Integer> script = new ArrayList<>();
    for (int round = 0; round < rounds; round++) {
      for (int i = 0; i < queueSize; i++) {
        script.add(POST);
        script.add(FETCH);
      }
      if (round > 0) {
        script.add(COMPLETE + 8 * (batchLength - 1));
        script.add(POLL);
        script.add(COMPLETE + 8 * (queueSize - batchLength - 1));
      } else {
        script.add(COMPLETE + 8 * (queueSize - 1));
      }
      script.add(POLL);
    }
    return script;
  }
}

package io.virtnvme.journal;

import static io.virtnvme.journal.DeviceQueueCut.COMPLETE;
import static io.virtnvme.journal.DeviceQueueCut.DIE;
import static io.virtnvme.journal.DeviceQueueCut.FETCH;
import static io.virtnvme.journal.DeviceQueueCut.POLL;
import static io.virtnvme.journal.DeviceQueueCut.RESET;
import static io.virtnvme.journal.DeviceQueueCut.RING;
import static io.virtnvme.journal.DeviceQueueCut.SUBMIT;
import static io.virtnvme.journal.DeviceQueueCut.word;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.ArrayList;
import java.util.List;
import net.jqwik.api.ForAll;
import net.jqwik.api.Property;
import net.jqwik.api.constraints.IntRange;
import net.jqwik.api.constraints.Size;
import org.junit.jupiter.api.Test;

/**
 * A crash between any two stores of a device's queue pair, and crashes inside adoptions: nothing is
 * submitted that the device still holds, nothing is lost, each request ends once.
 */
class DeviceQueueCutTest {
  private static final long[] BASES = {0, 3, (1L << 32) - 2};

  @Property(tries = 40)
  void shouldSurviveAnyCutOfAnyScript(
      @ForAll @Size(min = 4, max = 24) final List<@IntRange(max = 699) Integer> script,
      @ForAll @IntRange(min = 2, max = 5) final int entryCount,
      @ForAll @IntRange(min = 1, max = 4) final int slotCount,
      @ForAll @IntRange(max = 2) final int base) {
    try (DeviceQueueCut cut = new DeviceQueueCut(entryCount, Math.min(slotCount, entryCount - 1))) {
      cut.run(script, BASES[base]);
    }
  }

  @Test
  void shouldSurviveAnyCutOverManyLapsWithCompletionsOutOfOrder() {
    final List<Integer> script = new ArrayList<>();
    for (int round = 0; round < 8; round++) {
      script.add(word(SUBMIT, 2));
      script.add(word(RING, 0));
      script.add(word(FETCH, 2));
      script.add(word(COMPLETE, 1 + 3 * round));
      script.add(word(SUBMIT, 0));
      script.add(word(POLL, round));
      script.add(word(DIE, round));
    }
    script.add(word(RESET, 0));
    script.add(word(SUBMIT, 2));
    script.add(word(RESET, 1));
    for (final long base : BASES) {
      try (DeviceQueueCut cut = new DeviceQueueCut(5, 3)) {
        cut.run(script, base);
        assertTrue(cut.cutCount() > 1000, () -> "only " + cut.cutCount());
        assertTrue(cut.adoptedCount() > 1000, () -> "only " + cut.adoptedCount());
      }
    }
  }
}

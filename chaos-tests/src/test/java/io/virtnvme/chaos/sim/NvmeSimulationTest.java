package io.virtnvme.chaos.sim;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** Whatever happens in a simulated run, no NVMe driver sees anything wrong, and everything ends. */
class NvmeSimulationTest {
  private static final int SEEDS = 400;
  private static final int SEEDS_MIN = 40;

  private final SeedRuns runs = new SeedRuns(Simulation.FrontEnd.NVME);

  @AfterEach
  void close() {
    runs.close();
  }

  /** New seeds in each run; a slow machine tries fewer, never less than {@link #SEEDS_MIN}. */
  @Test
  void shouldLoseNothingWhateverHappens() {
    final SeedRuns.Totals totals = runs.runNewSeeds(SEEDS_MIN, SEEDS);
    assertTrue(totals.requests() > 20L * totals.seeds(), "too few commands: " + totals);
  }

  /** Seeds that once showed a fault of ours. */
  @ParameterizedTest
  @ValueSource(longs = {130, 254, 282, 482, 765, 778, 5867, 834_736_489L, 9_000_002_340L})
  void shouldStaySoundWhereItOnceWasNot(final long seed) {
    runs.requireSound(runs.simulation().run(seed));
  }

  @Test
  void shouldDoTheSameAgainForTheSameSeed() {
    for (long seed = 1; seed <= 10; seed++) {
      assertEquals(runs.simulation().run(seed), runs.simulation().run(seed));
    }
  }
}

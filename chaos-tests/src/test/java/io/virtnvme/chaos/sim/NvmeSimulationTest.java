package io.virtnvme.chaos.sim;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.time.Duration;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** Whatever happens in a simulated run, no NVMe driver sees anything wrong, and everything ends. */
class NvmeSimulationTest {
  private static final int SEEDS = 400;
  private static final int SEEDS_MIN = 40;
  private static final Duration LIMIT = Duration.ofSeconds(30);
  private static final int TRACE_LINES = 200;

  private final Simulation simulation = new Simulation(Simulation.FrontEnd.NVME);

  @AfterEach
  void close() {
    simulation.close();
  }

  private void requireSound(final Simulation.Result result) {
    if (result.failure() != null) {
      throw new AssertionError(
          "seed " + result.seed() + "\n" + simulation.explain(result.seed(), TRACE_LINES));
    }
  }

  /** New seeds in each run; a slow machine tries fewer, never less than {@link #SEEDS_MIN}. */
  @Test
  void shouldLoseNothingWhateverHappens() {
    assertTrue(Simulation.isRecording(), "slaves must be able to die between two stores");
    final long first = System.nanoTime() & 0xFFFF_FFFFL;
    final long beginNs = System.nanoTime();
    System.out.println("first seed " + first);
    long stores = 0;
    long deaths = 0;
    long commands = 0;
    int count = 0;
    while (count < SEEDS && (count < SEEDS_MIN || System.nanoTime() - beginNs < LIMIT.toNanos())) {
      final Simulation.Result result = simulation.run(first + count);
      requireSound(result);
      stores += result.stores();
      deaths += result.deaths();
      commands += result.requests();
      count++;
    }
    System.out.println(
        "seeds=" + count + " stores=" + stores + " deaths=" + deaths + " commands=" + commands);
    assertTrue(deaths > count, "too few deaths: " + deaths);
    assertTrue(commands > 20L * count, "too few commands: " + commands);
  }

  /** Seeds that once showed a fault of ours. */
  @ParameterizedTest
  @ValueSource(longs = {130, 254, 282, 482, 765, 778, 5867, 834_736_489L})
  void shouldStaySoundWhereItOnceWasNot(final long seed) {
    requireSound(simulation.run(seed));
  }

  @Test
  void shouldDoTheSameAgainForTheSameSeed() {
    for (long seed = 1; seed <= 10; seed++) {
      assertEquals(simulation.run(seed), simulation.run(seed));
    }
  }
}

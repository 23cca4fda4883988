package io.virtnvme.chaos.sim;

import static org.junit.jupiter.api.Assertions.assertTrue;

import java.time.Duration;

/** Runs seeds until one shows a fault, and says then what happened. */
final class SeedRuns implements AutoCloseable {
  private static final Duration LIMIT = Duration.ofSeconds(30);
  private static final int TRACE_LINES = 200;

  private final Simulation simulation;

  SeedRuns(final Simulation.FrontEnd frontEnd) {
    simulation = new Simulation(frontEnd);
  }

  Simulation simulation() {
    return simulation;
  }

  /** Sums over several seeds. */
  record Totals(int seeds, long steps, long stores, long deaths, long requests) {}

  Simulation.Result requireSound(final Simulation.Result result) {
    if (result.failure() != null) {
      throw new AssertionError(
          "seed " + result.seed() + "\n" + simulation.explain(result.seed(), TRACE_LINES));
    }
    return result;
  }

  /** New seeds in each call; a slow machine tries fewer, never less than {@code countMin}. */
  Totals runNewSeeds(final int countMin, final int countMax) {
    assertTrue(Simulation.isRecording(), "slaves must be able to die between two stores");
    final long first = System.nanoTime() & 0xFFFF_FFFFL;
    final long beginNs = System.nanoTime();
    System.out.println("first seed " + first);
    long steps = 0;
    long stores = 0;
    long deaths = 0;
    long requests = 0;
    int count = 0;
    while (count < countMax
        && (count < countMin || System.nanoTime() - beginNs < LIMIT.toNanos())) {
      final Simulation.Result result = requireSound(simulation.run(first + count));
      steps += result.steps();
      stores += result.stores();
      deaths += result.deaths();
      requests += result.requests();
      count++;
    }
    final Totals totals = new Totals(count, steps, stores, deaths, requests);
    System.out.println(totals);
    assertTrue(deaths > count, "too few deaths: " + deaths);
    return totals;
  }

  @Override
  public void close() {
    simulation.close();
  }
}

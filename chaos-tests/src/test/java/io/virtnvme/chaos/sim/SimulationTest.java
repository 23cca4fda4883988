package io.virtnvme.chaos.sim;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** Whatever happens in a simulated run, no guest sees anything wrong, and everything ends. */
class SimulationTest {
  private static final int SEEDS = 600;
  private static final int SEEDS_MIN = 100;

  private final SeedRuns runs = new SeedRuns(Simulation.FrontEnd.VHOST);

  @AfterEach
  void close() {
    runs.close();
  }

  /** New seeds in each run; a slow machine tries fewer, never less than {@link #SEEDS_MIN}. */
  @Test
  void shouldLoseNothingWhateverHappens() {
    runs.runNewSeeds(SEEDS_MIN, SEEDS);
  }

  /** Seeds that once showed a fault of ours. */
  @ParameterizedTest
  @ValueSource(longs = {612, 2069, 2100, 22426, 3_000_007_235L, 3_000_007_586L, 3_000_083_092L})
  void shouldStaySoundWhereItOnceWasNot(final long seed) {
    runs.requireSound(runs.simulation().run(seed));
  }

  /**
   * One run in which a session is set up, paused, given a new region, reset, and loses and gets
   * memory. The owner of the seat dies before store 1 from its first message on, before store 2,
   * and so on, until the run ends before its death; every other time its successor dies too, before
   * each of its first stores in turn.
   */
  @ParameterizedTest
  @ValueSource(booleans = {false, true})
  void shouldSurviveDeathAtEveryStoreOfEveryChange(final boolean packed) {
    long stores = 0;
    long deaths = 0;
    int store = 0;
    boolean died = true;
    while (died) {
      store++;
      final Plan plan = everyChange(packed, store);
      final Simulation.Result result = runs.simulation().run(plan, new Trace(false));
      if (result.failure() != null) {
        throw new AssertionError(plan + "\n" + result.failure());
      }
      stores += result.stores();
      deaths += result.deaths();
      died = result.deaths() > 0;
      assertTrue(store < 20_000, "the run never ends");
    }
    assertTrue(store > 300, "too few stores: " + store);
    System.out.println(
        "packed="
            + packed
            + ": died before each of "
            + (store - 1)
            + " stores; deaths="
            + deaths
            + " stores of all runs="
            + stores);
  }

  private static Plan everyChange(final boolean packed, final int store) {
    final List<Fault> faults = new ArrayList<>();
    faults.add(new Fault(100, Fault.Kind.KILL_AT_STORE, store));
    if (store % 2 == 0) {
      faults.add(new Fault(100, Fault.Kind.KILL_IN_TAKEOVER, 1 + store / 2 % 60));
    }
    faults.add(new Fault(700, Fault.Kind.PAUSE, 0));
    faults.add(new Fault(850, Fault.Kind.PLUG, 0));
    faults.add(new Fault(1000, Fault.Kind.NEW_REGION, 0));
    faults.add(new Fault(1200, Fault.Kind.PLUG, 0));
    faults.add(new Fault(1350, Fault.Kind.RESET, 0));
    faults.add(new Fault(1700, Fault.Kind.RECONNECT, 0));
    return new Plan(
        7,
        packed,
        1,
        packed ? 6 : 4,
        1,
        true,
        true,
        true,
        true,
        true,
        65530,
        2300,
        60,
        faults,
        null);
  }

  @Test
  void shouldDoTheSameAgainForTheSameSeed() {
    for (long seed = 1; seed <= 40; seed++) {
      final Simulation.Result first = runs.simulation().run(seed);
      final Simulation.Result second = runs.simulation().run(seed);
      assertEquals(first, second);
      assertNotEquals(first.traceHash(), runs.simulation().run(seed + 1).traceHash());
    }
  }

  @Test
  void shouldKeepLinesOnlyWhenAsked() {
    final Plan plan = Plan.of(5);
    final Trace kept = new Trace(true);
    final Trace hashed = new Trace(false);
    assertNull(runs.simulation().run(plan, kept).failure());
    assertNull(runs.simulation().run(plan, hashed).failure());
    assertEquals(kept.hash(), hashed.hash());
    assertTrue(kept.lines().size() > 100);
    assertEquals(List.of(), hashed.lines());
  }
}

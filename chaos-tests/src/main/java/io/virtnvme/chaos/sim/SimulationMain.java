package io.virtnvme.chaos.sim;

import java.time.Duration;
import java.util.Arrays;

/**
 * Runs many seeds: {@code SimulationMain [--front-end vhost|nvme] FIRST COUNT [SECONDS]}. Ends with
 * 1 at the first seed that fails, and says how. Needs {@code -Dvirtnvme.mem.record=true}, so that
 * slaves die between stores.
 */
public final class SimulationMain {
  private static final int PROGRESS_SEEDS = 1000;
  private static final int TRACE_LINES = 300;

  private SimulationMain() {}

  /** See the class. */
  public static void main(final String[] given) {
    final boolean isNamed = given.length > 1 && given[0].equals("--front-end");
    final Simulation.FrontEnd frontEnd = isNamed ? frontEnd(given[1]) : Simulation.FrontEnd.VHOST;
    final String[] args = isNamed ? Arrays.copyOfRange(given, 2, given.length) : given;
    if (frontEnd == null || args.length < 2 || args.length > 3) {
      System.err.println("usage: SimulationMain [--front-end vhost|nvme] FIRST COUNT [SECONDS]");
      System.exit(2);
      return;
    }
    final long first = Long.parseLong(args[0]);
    final long count = Long.parseLong(args[1]);
    final Duration limit =
        Duration.ofSeconds(args.length == 3 ? Long.parseLong(args[2]) : Integer.MAX_VALUE);
    if (!Simulation.isRecording()) {
      System.err.println("stores are not recorded: start the JVM with -Dvirtnvme.mem.record=true");
      System.exit(2);
    }
    System.exit(run(frontEnd, first, count, limit) ? 0 : 1);
  }

  private static Simulation.FrontEnd frontEnd(final String name) {
    return switch (name) {
      case "vhost" -> Simulation.FrontEnd.VHOST;
      case "nvme" -> Simulation.FrontEnd.NVME;
      default -> null;
    };
  }

  private static boolean run(
      final Simulation.FrontEnd frontEnd,
      final long first,
      final long count,
      final Duration limit) {
    final long beginNs = System.nanoTime();
    long seed = first;
    long steps = 0;
    long stores = 0;
    long deaths = 0;
    long requests = 0;
    try (Simulation simulation = new Simulation(frontEnd)) {
      while (seed < first + count && System.nanoTime() - beginNs < limit.toNanos()) {
        final Simulation.Result result = simulation.run(seed);
        if (result.failure() != null) {
          System.out.println("seed " + seed + " fails: " + result.failure());
          System.out.println(simulation.explain(seed, TRACE_LINES));
          return false;
        }
        steps += result.steps();
        stores += result.stores();
        deaths += result.deaths();
        requests += result.requests();
        seed++;
        if ((seed - first) % PROGRESS_SEEDS == 0 || seed == first + count) {
          System.out.println(summary(first, seed, steps, stores, deaths, requests, beginNs));
        }
      }
    }
    System.out.println("done: " + summary(first, seed, steps, stores, deaths, requests, beginNs));
    return true;
  }

  private static String summary(
      final long first,
      final long next,
      final long steps,
      final long stores,
      final long deaths,
      final long requests,
      final long beginNs) {
    return "seeds "
        + first
        + ".."
        + (next - 1)
        + " sound: steps="
        + steps
        + " stores="
        + stores
        + " deaths="
        + deaths
        + " requests="
        + requests
        + " seconds="
        + (System.nanoTime() - beginNs) / 1_000_000_000L;
  }
}

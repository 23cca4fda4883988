package io.virtnvme.chaos.sim;

import io.virtnvme.ipc.segment.BootId;
import io.virtnvme.ipc.segment.SegmentDirectory;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;

/**
 * Runs simulations by seed; finds a short run for a seed that fails. Sessions' segments lie in a
 * folder of its own. One thread; one at a time in a JVM, since the recording of stores is the
 * JVM's.
 */
public final class Simulation implements AutoCloseable {
  private static final int SHRINK_RUNS_MAX = 400;

  /**
   * What a run came to.
   *
   * @param seed its seed
   * @param traceHash of everything that happened
   * @param steps whose turn it was, so often
   * @param stores stores of slaves: states in which one could die
   * @param deaths slaves that died
   * @param requests that completed
   * @param failure what must never happen and did, or null
   */
  public record Result(
      long seed,
      long traceHash,
      long steps,
      long stores,
      long deaths,
      long requests,
      String failure) {}

  /** Who is at the other end of the session. */
  public enum FrontEnd {
    /** A vhost-user disk. */
    VHOST,
    /** An NVMe controller over vfio-user. */
    NVME;

    Plan plan(final long seed) {
      return this == NVME ? NvmePlan.of(seed) : Plan.of(seed);
    }
  }

  private final FrontEnd frontEnd;
  private final Path folder;
  private final SegmentDirectory segments;

  /** Makes the folder; the same seed means another run with each kind of front-end. */
  public Simulation(final FrontEnd frontEnd) {
    this.frontEnd = frontEnd;
    try {
      folder = Files.createTempDirectory("virtnvme-simulation");
    } catch (final IOException e) {
      throw new UncheckedIOException(e);
    }
    segments = new SegmentDirectory(folder, 1, BootId.current());
  }

  /** Whether slaves die between any two stores; else only between two calls. */
  public static boolean isRecording() {
    return World.RECORDING;
  }

  /** Runs one seed. */
  public Result run(final long seed) {
    return run(frontEnd.plan(seed), new Trace(false));
  }

  Result run(final Plan plan, final Trace trace) {
    final World world = new World(plan, segments, trace);
    String failure = null;
    try {
      world.run();
    } catch (final Violation e) {
      failure = text(e);
    } finally {
      world.close();
    }
    return new Result(
        plan.seed(),
        trace.hash(),
        world.step(),
        world.storeCount(),
        world.deathCount(),
        world.machine().completedCount(),
        failure);
  }

  private static String text(final Throwable violation) {
    final StringBuilder text = new StringBuilder();
    for (Throwable cause = violation; cause != null; cause = cause.getCause()) {
      text.append(text.length() == 0 ? "" : "; because of ").append(cause);
      if (cause.getCause() == null && cause != violation) {
        for (final StackTraceElement element : cause.getStackTrace()) {
          text.append("\n    at ").append(element);
        }
      }
    }
    return text.toString();
  }

  /**
   * Makes a failing seed's run as short as it can: fewer faults, requests, and steps, as long as it
   * fails. Then says what happens in it.
   *
   * @param seed of a run that fails
   * @param linesMax lines of the trace, the last ones
   * @return the plan, the failure, and the trace
   */
  public String explain(final long seed, final int linesMax) {
    Plan best = frontEnd.plan(seed);
    int runs = 0;
    boolean better = true;
    while (better && runs < SHRINK_RUNS_MAX) {
      better = false;
      for (final Plan candidate : shorter(best)) {
        runs++;
        if (run(candidate, new Trace(false)).failure() != null) {
          best = candidate;
          better = true;
          break;
        }
      }
    }
    final Trace trace = new Trace(true);
    final Result result = run(best, trace);
    final List<String> lines = trace.lines();
    return "shortest run of "
        + runs
        + " that were tried: "
        + best
        + "\n"
        + result.failure()
        + "\n"
        + String.join("\n", lines.subList(Math.max(0, lines.size() - linesMax), lines.size()));
  }

  private static List<Plan> shorter(final Plan plan) {
    final List<Plan> candidates = new ArrayList<>();
    final List<Fault> faults = plan.faults();
    if (faults.size() > 2) {
      candidates.add(plan.withFaults(faults.subList(0, faults.size() / 2)));
      candidates.add(plan.withFaults(faults.subList(faults.size() / 2, faults.size())));
    }
    for (int i = 0; i < faults.size(); i++) {
      final List<Fault> fewer = new ArrayList<>(faults);
      fewer.remove(i);
      candidates.add(plan.withFaults(fewer));
    }
    for (int part = 2; part <= 8; part *= 2) {
      if (plan.requestMax() >= part) {
        candidates.add(plan.withRequestMax(plan.requestMax() - plan.requestMax() / part));
      }
      if (plan.stepCount() >= part) {
        candidates.add(plan.withStepCount(plan.stepCount() - plan.stepCount() / part));
      }
    }
    return candidates;
  }

  @Override
  public void close() {
    try {
      Files.deleteIfExists(folder);
    } catch (final IOException e) {
      throw new UncheckedIOException(e);
    }
  }
}

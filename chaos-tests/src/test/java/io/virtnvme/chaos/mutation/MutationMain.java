package io.virtnvme.chaos.mutation;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Set;
import java.util.stream.Stream;

/**
 * Plants each fault of the list, or those that are named, and shows which layer catches it. First
 * the layers run with nothing planted, and must be silent. Started by {@code
 * chaos-tests/mutations/run}.
 *
 * <p>Ends with 0 when every fault is caught or known not to be, 1 when one is not, 2 when nothing
 * can be said.
 */
public final class MutationMain {
  private static final int EXIT_HOLE = 1;
  private static final int EXIT_NO_VERDICT = 2;
  private static final int SEED_COUNT = 1000;
  private static final String USAGE =
      "usage: run [--json] [--seeds COUNT] [--no-baseline] [--layer LABEL]... [NAME...]";

  private final Tree tree;
  private final Path scratch;
  private final Report report;
  private final int seedCount;
  private final Set<Layer> layers;

  private MutationMain(
      final Tree tree,
      final Path scratch,
      final Report report,
      final int seedCount,
      final Set<Layer> layers) {
    this.tree = tree;
    this.scratch = scratch;
    this.report = report;
    this.seedCount = seedCount;
    this.layers = layers;
  }

  /** See the class; the first argument is the root of the source tree. */
  public static void main(final String[] args) throws IOException, InterruptedException {
    final Path root = Path.of(args[0]).toRealPath();
    final Set<String> names = new LinkedHashSet<>();
    final Set<Layer> layers = new LinkedHashSet<>();
    boolean json = false;
    boolean baseline = true;
    int seedCount = SEED_COUNT;
    try {
      for (int i = 1; i < args.length; i++) {
        switch (args[i]) {
          case "--json" -> json = true;
          case "--no-baseline" -> baseline = false;
          case "--seeds" -> seedCount = Integer.parseInt(args[++i]);
          case "--layer" -> layers.add(Layer.of(args[++i]));
          default -> names.add(args[i]);
        }
      }
    } catch (final IllegalArgumentException | ArrayIndexOutOfBoundsException e) {
      fail(USAGE + " (" + e.getMessage() + ")");
    }
    final List<Mutation> mutations = selected(MutationList.read(root), names);
    final Path scratch = Files.createTempDirectory("vn-mutations-");
    Runtime.getRuntime()
        .addShutdownHook(
            new Thread(
                () -> {
                  Attempt.stopRunning();
                  delete(scratch);
                }));
    final Report report = new Report(System.out, json);
    int exitValue = EXIT_NO_VERDICT;
    try {
      final MutationMain command =
          new MutationMain(
              new Tree(root),
              scratch,
              report,
              seedCount,
              layers.isEmpty() ? Set.of(Layer.values()) : layers);
      report.begin();
      if (baseline) {
        command.requireSilence(mutations);
      }
      for (final Mutation mutation : mutations) {
        report.add(command.plant(mutation));
      }
      exitValue = report.end() ? 0 : EXIT_HOLE;
    } catch (final IllegalStateException | IllegalArgumentException e) {
      System.err.println(e.getMessage());
    }
    System.exit(exitValue);
  }

  private static void fail(final String reason) {
    System.err.println(reason);
    System.exit(EXIT_NO_VERDICT);
  }

  private static List<Mutation> selected(final List<Mutation> all, final Set<String> names) {
    final Set<String> unknown = new LinkedHashSet<>(names);
    all.forEach(mutation -> unknown.remove(mutation.name()));
    if (!unknown.isEmpty()) {
      fail(USAGE + " (no such name: " + unknown + ")");
    }
    return all.stream().filter(m -> names.isEmpty() || names.contains(m.name())).toList();
  }

  /** Every test that is going to judge must pass when nothing is planted. */
  private void requireSilence(final List<Mutation> mutations)
      throws IOException, InterruptedException {
    final Set<List<String>> tried = new LinkedHashSet<>();
    final Set<String> simulated = new LinkedHashSet<>();
    final Attempt attempt =
        new Attempt(tree, Files.createDirectory(scratch.resolve("nothing")), scratch);
    for (final Layer layer : Layer.values()) {
      for (final Mutation mutation : mutations) {
        final List<List<String>> groups =
            layers.contains(layer) ? layer.tests(mutation) : List.of();
        for (final String frontEnd : frontEnds(layer, mutation)) {
          if (simulated.add(frontEnd)) {
            final long beginNs = System.nanoTime();
            requireSilent(
                attempt.seeds(frontEnd, seedCount), frontEnd + ", seeds 1.." + seedCount, beginNs);
          }
        }
        for (final List<String> group : groups) {
          if (tried.add(group)) {
            final long beginNs = System.nanoTime();
            requireSilent(attempt.tests(group), String.join(", ", group), beginNs);
          }
        }
      }
    }
  }

  private void requireSilent(final Attempt.Outcome outcome, final String what, final long beginNs) {
    if (outcome.caught() || !outcome.message().isEmpty()) {
      throw new IllegalStateException(
          "must pass with nothing planted: "
              + what
              + ": "
              + outcome.test()
              + " "
              + outcome.message());
    }
    report.onSilence(what, secondsSince(beginNs));
  }

  private Report.Row plant(final Mutation mutation) throws IOException, InterruptedException {
    final long beginNs = System.nanoTime();
    final Path classes = Files.createDirectory(scratch.resolve(mutation.name()));
    Mutant.compile(mutation, tree, classes);
    final Attempt attempt = new Attempt(tree, classes, scratch);
    Attempt.Outcome last = Attempt.Outcome.SILENT;
    for (final Layer layer : Layer.values()) {
      for (final Attempt.Outcome outcome : outcomes(attempt, layer, mutation)) {
        if (outcome.caught()) {
          return new Report.Row(mutation, layer, outcome, secondsSince(beginNs));
        }
        last = outcome.message().isEmpty() ? last : outcome;
      }
    }
    return new Report.Row(mutation, null, last, secondsSince(beginNs));
  }

  /** What a layer says, up to the first catch. */
  private List<Attempt.Outcome> outcomes(
      final Attempt attempt, final Layer layer, final Mutation mutation)
      throws IOException, InterruptedException {
    final List<Attempt.Outcome> outcomes = new ArrayList<>();
    final List<List<String>> groups = layers.contains(layer) ? layer.tests(mutation) : List.of();
    for (final String frontEnd : frontEnds(layer, mutation)) {
      if (outcomes.stream().noneMatch(Attempt.Outcome::caught)) {
        outcomes.add(attempt.seeds(frontEnd, seedCount));
      }
    }
    for (final List<String> group : groups) {
      if (outcomes.stream().noneMatch(Attempt.Outcome::caught)) {
        outcomes.add(attempt.tests(group));
      }
    }
    return outcomes;
  }

  /** Of the simulations that are tried, if any. */
  private List<String> frontEnds(final Layer layer, final Mutation mutation) {
    return layer == Layer.SIMULATION && layers.contains(layer)
        ? Layer.frontEnds(mutation)
        : List.of();
  }

  private static double secondsSince(final long beginNs) {
    return (System.nanoTime() - beginNs) / 1e9;
  }

  private static void delete(final Path folder) {
    try (Stream<Path> files = Files.walk(folder)) {
      for (final Path file : files.sorted(Comparator.reverseOrder()).toList()) {
        Files.delete(file);
      }
    } catch (final IOException e) {
      System.err.println("left behind: " + folder + ": " + e);
    }
  }
}

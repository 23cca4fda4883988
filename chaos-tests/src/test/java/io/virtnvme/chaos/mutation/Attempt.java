package io.virtnvme.chaos.mutation;

import java.io.File;
import java.io.IOException;
import java.lang.management.ManagementFactory;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.TimeUnit;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/**
 * Runs layers on one fault, or on none, in JVMs of their own that find the faulty class before the
 * sound one.
 */
final class Attempt {
  /**
   * What came of a layer.
   *
   * @param caught whether the fault was found
   * @param test the test or the seed that found it; empty when none did
   * @param message of the failure, or why there is no verdict
   */
  record Outcome(boolean caught, String test, String message) {
    static final Outcome SILENT = new Outcome(false, "", "");
  }

  private static final String SIMULATION_MODULE = "chaos-tests";
  private static final String SIMULATION_MAIN = "io.virtnvme.chaos.sim.SimulationMain";
  private static final Pattern FAILING_SEED =
      Pattern.compile("seed (\\d+) fails: (?:[\\w.]+Violation: )?(.*)");
  private static final Duration LIMIT = Duration.ofMinutes(10);
  private static final int NO_END = -1;
  private static final long POLL_MS = 50;
  private static final long STOP_LIMIT_SECONDS = 30;
  private static final int MESSAGE_CHARS_MAX = 160;

  /** The JVM that runs, for the end of this one; or null. */
  private static volatile Process running;

  private final Tree tree;
  private final Path classesFolder;
  private final Path scratch;

  /**
   * Made for one fault.
   *
   * @param classesFolder the compiled fault; empty when nothing is planted
   * @param scratch for what the JVMs write
   */
  Attempt(final Tree tree, final Path classesFolder, final Path scratch) {
    this.tree = tree;
    this.classesFolder = classesFolder;
    this.scratch = scratch;
  }

  /**
   * Runs tests of one module until one fails.
   *
   * @param names simple names of classes, or {@code Class#method(types)}
   */
  Outcome tests(final List<String> names) throws IOException, InterruptedException {
    final String module = tree.test(names.get(0)).module();
    final Path result = Files.createTempFile(scratch, "result", ".txt");
    final Path log = Files.createTempFile(scratch, "tests", ".log");
    final List<String> command = java(module, FirstFailure.class.getName());
    command.add(result.toString());
    for (final String name : names) {
      final int method = name.indexOf('#');
      command.add(tree.test(name).className() + (method < 0 ? "" : name.substring(method)));
    }
    final int exitValue = run(command, module, log, false);
    if (exitValue == FirstFailure.EXIT_FAILED) {
      final List<String> lines = Files.readAllLines(result);
      return new Outcome(true, lines.get(0), shortened(lines.get(1)));
    }
    if (exitValue == FirstFailure.EXIT_NO_TESTS) {
      return new Outcome(false, "", lastLine(log));
    }
    return withoutVerdict(exitValue, log);
  }

  /**
   * Runs the first seeds of a simulation until one fails.
   *
   * @param frontEnd which, as {@code SimulationMain} names it
   */
  Outcome seeds(final String frontEnd, final int count) throws IOException, InterruptedException {
    final Path log = Files.createTempFile(scratch, "seeds", ".log");
    final List<String> command = java(SIMULATION_MODULE, SIMULATION_MAIN);
    command.addAll(List.of("--front-end", frontEnd, "1", Integer.toString(count)));
    final int exitValue = run(command, SIMULATION_MODULE, log, true);
    final Matcher failing = FAILING_SEED.matcher(Files.readString(log));
    return failing.find()
        ? new Outcome(true, frontEnd + ", seed " + failing.group(1), shortened(failing.group(2)))
        : withoutVerdict(exitValue, log);
  }

  /** A death of the JVM counts as a catch; running into the limit does not: time is no proof. */
  private static Outcome withoutVerdict(final int exitValue, final Path log) throws IOException {
    return switch (exitValue) {
      case 0 -> Outcome.SILENT;
      case NO_END -> new Outcome(false, "", "no verdict in " + LIMIT.toMinutes() + " minutes");
      default ->
          new Outcome(
              true, "the JVM ended", shortened("exit code " + exitValue + ": " + lastLine(log)));
    };
  }

  private List<String> java(final String module, final String mainClass) throws IOException {
    final List<String> command = new ArrayList<>();
    command.add(Path.of(System.getProperty("java.home"), "bin", "java").toString());
    command.addAll(ManagementFactory.getRuntimeMXBean().getInputArguments());
    command.add("-Dvirtnvme.mem.record=true");
    // A simulation that is stopped cannot clear up.
    command.add("-Djava.io.tmpdir=" + scratch);
    command.add("-XX:ErrorFile=" + scratch.resolve("hs_err_pid%p.log"));
    command.add("-cp");
    command.add(classesFolder + File.pathSeparator + tree.classPath(module));
    command.add(mainClass);
    return command;
  }

  /**
   * Runs a JVM to its end, to the limit, or to its first line about a failing seed: the shortest
   * run that fails, which it looks for then, is not waited for.
   */
  private int run(
      final List<String> command, final String module, final Path log, final boolean seeds)
      throws IOException, InterruptedException {
    final Process process =
        new ProcessBuilder(command)
            .directory(tree.root().resolve(module).toFile())
            .redirectErrorStream(true)
            .redirectOutput(log.toFile())
            .redirectInput(new File("/dev/null"))
            .start();
    running = process;
    try {
      final long beginNs = System.nanoTime();
      while (!process.waitFor(POLL_MS, TimeUnit.MILLISECONDS)) {
        if (System.nanoTime() - beginNs > LIMIT.toNanos()
            || (seeds && FAILING_SEED.matcher(Files.readString(log)).find())) {
          return NO_END;
        }
      }
      return process.exitValue();
    } finally {
      stop(process);
      running = null;
    }
  }

  /** Ends the JVM that runs, if any; when this one is about to end. */
  static void stopRunning() {
    final Process process = running;
    if (process != null) {
      try {
        stop(process);
      } catch (final InterruptedException e) {
        Thread.currentThread().interrupt();
      }
    }
  }

  /** In good order first: tests with processes have hooks that end them. */
  private static void stop(final Process process) throws InterruptedException {
    process.destroy();
    if (!process.waitFor(STOP_LIMIT_SECONDS, TimeUnit.SECONDS)) {
      process.descendants().forEach(ProcessHandle::destroyForcibly);
      process.destroyForcibly().waitFor();
    }
  }

  private static String lastLine(final Path log) throws IOException {
    String last = "";
    for (final String line : Files.readAllLines(log)) {
      if (!line.isBlank() && !line.startsWith("\tat ")) {
        last = line;
      }
    }
    return last;
  }

  private static String shortened(final String message) {
    final String line = message.replaceAll("\\s+", " ").strip();
    return line.length() <= MESSAGE_CHARS_MAX
        ? line
        : line.substring(0, MESSAGE_CHARS_MAX - 3) + "...";
  }
}

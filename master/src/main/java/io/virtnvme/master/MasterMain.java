package io.virtnvme.master;

import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.function.Supplier;

/** A master as a process of its own; the {@code virtnvme up} command offers the same and more. */
public final class MasterMain {
  private static final int EXIT_USAGE = 2;

  private MasterMain() {}

  /**
   * Runs until SIGTERM or SIGINT.
   *
   * @param arguments {@code [--run-dir DIR] [--config FILE] [--cores LIST] [--slaves N] [--standby
   *     N]}
   */
  public static void main(final String[] arguments) throws InterruptedException {
    final MasterContext context;
    try {
      context = parse(arguments);
    } catch (final IllegalArgumentException e) {
      System.err.println(e.getMessage());
      System.err.println(
          "usage: MasterMain [--run-dir DIR] [--config FILE] [--cores LIST] [--slaves N]"
              + " [--standby N]");
      System.exit(EXIT_USAGE);
      return;
    }
    System.exit(run(context));
  }

  /** Runs a master in the foreground until it is told to stop; the process's exit code. */
  public static int run(final MasterContext context) throws InterruptedException {
    return run(() -> context, List.of());
  }

  /**
   * The same, and another build may take its place meanwhile.
   *
   * @param contexts makes the settings anew each time that it is asked
   * @param arguments with which any build of the command does what this process does; empty = this
   *     process cannot be replaced
   */
  public static int run(final Supplier<MasterContext> contexts, final List<String> arguments)
      throws InterruptedException {
    return new MasterProcess(
            contexts, arguments, new ServiceManager(System.getenv(), ProcessHandle.current().pid()))
        .run();
  }

  private static MasterContext parse(final String[] arguments) {
    final MasterContext context = new MasterContext();
    for (int i = 0; i < arguments.length; i += 2) {
      if (i + 1 == arguments.length) {
        throw new IllegalArgumentException(arguments[i] + " needs a value");
      }
      final String value = arguments[i + 1];
      switch (arguments[i]) {
        case "--run-dir" -> context.runDirectory(Path.of(value));
        case "--config" -> context.configFile(Path.of(value));
        case "--cores" -> context.cores(numbers(value));
        case "--slaves" -> context.slaveCount(Integer.parseInt(value));
        case "--standby" -> context.standbyCount(Integer.parseInt(value));
        default -> throw new IllegalArgumentException("unknown option " + arguments[i]);
      }
    }
    return context;
  }

  private static List<Integer> numbers(final String list) {
    return Arrays.stream(list.split(",", -1)).map(String::trim).map(Integer::valueOf).toList();
  }
}

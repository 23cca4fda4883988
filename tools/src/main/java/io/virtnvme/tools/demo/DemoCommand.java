package io.virtnvme.tools.demo;

import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ObjectNode;
import io.virtnvme.tools.OptionRange;
import io.virtnvme.tools.pair.FrontEnd;
import io.virtnvme.tools.pair.Placement;
import java.io.IOException;
import java.util.Random;
import java.util.concurrent.Callable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.ParameterException;
import picocli.CommandLine.Spec;

/** {@code virtnvme demo}. */
@Command(
    name = "demo",
    mixinStandardHelpOptions = true,
    description = {
      "Kill the process that serves a busy disk, again and again, and show what the guest felt.",
      "",
      "Starts a pair in a temporary run directory and a client that writes and reads blocks which"
          + " carry (LBA, version, checksum). Progress goes to stderr, the result to stdout.",
      "Exit code 0 only if every request completed without error and every byte was right."
    })
public final class DemoCommand implements Callable<Integer> {
  @Spec private CommandSpec spec;

  @Option(
      names = "--seconds",
      paramLabel = "N",
      defaultValue = "20",
      description = "How long the load runs at least (default: ${DEFAULT-VALUE}).")
  private int seconds;

  @Option(
      names = "--kills",
      paramLabel = "K",
      defaultValue = "5",
      description =
          "Kills of the active slave, at random instants spread over that time (default:"
              + " ${DEFAULT-VALUE}). Each waits for a warm standby, so many kills take longer.")
  private int kills;

  @Option(
      names = "--front-end",
      paramLabel = "KIND",
      defaultValue = "blk",
      description = "What the guest sees: ${COMPLETION-CANDIDATES} (default: ${DEFAULT-VALUE}).")
  private FrontEnd frontEnd;

  @Option(
      names = "--bdev",
      paramLabel = "KIND",
      defaultValue = "mem",
      description = "Disk: ${COMPLETION-CANDIDATES} (default: ${DEFAULT-VALUE}).")
  private DemoSettings.BdevChoice bdev;

  @Option(names = "--json", description = "Print the result as one JSON object.")
  private boolean json;

  @Option(
      names = "--size",
      paramLabel = "MIB",
      defaultValue = "64",
      description = "Length of the disk in MiB (default: ${DEFAULT-VALUE}).")
  private int megabytes;

  @Option(
      names = "--queue-depth",
      paramLabel = "N",
      defaultValue = "32",
      description = "Requests in flight per queue (default: ${DEFAULT-VALUE}).")
  private int queueDepth;

  @Option(
      names = "--queues",
      paramLabel = "N",
      defaultValue = "1",
      description = "Queues (default: ${DEFAULT-VALUE}).")
  private int queueCount;

  @Option(names = "--packed", description = "Packed rings instead of split ones.")
  private boolean packed;

  @Option(
      names = "--standby",
      paramLabel = "N",
      defaultValue = "1",
      description =
          "Warm standbys; without one each kill is followed by a cold start (default:"
              + " ${DEFAULT-VALUE}).")
  private int standbyCount;

  @Option(
      names = "--guest-memory",
      paramLabel = "MIB",
      defaultValue = "0",
      description =
          "Memory of the guest; the load's buffers wander through all of it. 0 = as little as"
              + " possible (default: ${DEFAULT-VALUE}).")
  private int guestMegabytes;

  @Option(names = "--huge-pages", description = "Guest memory on the host's 2 MiB pages.")
  private boolean hugePages;

  @Option(
      names = "--seed",
      paramLabel = "N",
      description = "Seed of kill instants and requests (default: random, and printed).")
  private Long seed;

  /** For picocli. */
  public DemoCommand() {}

  @Override
  public Integer call() throws IOException {
    if (frontEnd == FrontEnd.QPAIR) {
      throw new ParameterException(
          spec.commandLine(), "--front-end qpair: a guest's are blk and nvme");
    }
    OptionRange.check(spec, "--seconds", seconds, 1, 86_400);
    OptionRange.check(spec, "--kills", kills, 0, 100_000);
    OptionRange.check(spec, "--size", megabytes, 1, 65_536);
    OptionRange.check(spec, "--queue-depth", queueDepth, 1, 1024);
    OptionRange.check(spec, "--queues", queueCount, 1, 16);
    OptionRange.check(spec, "--standby", standbyCount, 0, 4);
    OptionRange.check(spec, "--guest-memory", guestMegabytes, 0, 65_536);
    final DemoSettings settings =
        new DemoSettings(
            seconds,
            kills,
            frontEnd,
            bdev,
            megabytes,
            queueDepth,
            queueCount,
            packed,
            standbyCount,
            guestMegabytes,
            hugePages,
            seed == null ? new Random().nextInt(Integer.MAX_VALUE) : seed,
            Placement.clientCore(),
            Placement.reactorCore());
    final DemoRun run = new DemoRun(settings, spec.commandLine().getErr());
    return run.guard(
        () -> {
          final DemoReport report = run.run();
          run.close();
          print(report);
          return report.isSound() ? 0 : 1;
        });
  }

  private void print(final DemoReport report) throws IOException {
    final ObjectNode result = report.toJson();
    spec.commandLine()
        .getOut()
        .println(json ? new ObjectMapper().writeValueAsString(result) : report.toText());
    spec.commandLine().getOut().flush();
  }
}

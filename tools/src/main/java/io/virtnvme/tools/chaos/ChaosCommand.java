package io.virtnvme.tools.chaos;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import io.virtnvme.tools.OptionRange;
import io.virtnvme.tools.pair.Placement;
import java.io.IOException;
import java.io.PrintWriter;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.EnumSet;
import java.util.List;
import java.util.Locale;
import java.util.Random;
import java.util.Set;
import java.util.concurrent.Callable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.ParameterException;
import picocli.CommandLine.Spec;

/** {@code virtnvme chaos}. */
@Command(
    name = "chaos",
    mixinStandardHelpOptions = true,
    description = {
      "Do everything that can be done to a pair under verified load, and write a report.",
      "",
      "Starts a pair and its clients (memory and file disks, split and packed rings) whose blocks"
          + " carry (LBA, version, checksum), and strikes with faults drawn from the seed. Writes"
          + " DIR/report.html and DIR/campaign.json.",
      "Exit code 0 only if every request completed without error, every byte was right, and no"
          + " slave was replaced that no fault had ended."
    })
public final class ChaosCommand implements Callable<Integer> {
  private static final String JSON_NAME = "campaign.json";
  private static final String PAGE_NAME = "report.html";

  @Spec private CommandSpec spec;

  @Option(
      names = "--seconds",
      paramLabel = "N",
      defaultValue = "60",
      description = "How long faults strike (default: ${DEFAULT-VALUE}).")
  private int seconds;

  @Option(
      names = "--seed",
      paramLabel = "S",
      description = "Seed of kinds, instants and requests (default: random, and printed).")
  private Long seed;

  @Option(
      names = "--out",
      paramLabel = "DIR",
      required = true,
      description = "Folder for the report, on a file system that can O_DIRECT; made if needed.")
  private Path out;

  @Option(
      names = "--faults",
      paramLabel = "LIST",
      split = ",",
      description = "Only these kinds of faults, by the names in the report (default: all).")
  private List<String> kinds = new ArrayList<>();

  @Option(
      names = "--size",
      paramLabel = "MIB",
      defaultValue = "32",
      description = "Length of each disk in MiB (default: ${DEFAULT-VALUE}).")
  private int megabytes;

  @Option(
      names = "--hang-limit-ms",
      paramLabel = "MS",
      defaultValue = "1000",
      description = "As for 'up' (default: ${DEFAULT-VALUE}).")
  private int hangLimitMs;

  @Option(names = "--page-only", description = "Only draw the page anew from DIR/campaign.json.")
  private boolean pageOnly;

  /** For picocli. */
  public ChaosCommand() {}

  @Override
  public Integer call() throws IOException {
    OptionRange.check(spec, "--seconds", seconds, 1, 86_400);
    OptionRange.check(spec, "--size", megabytes, 1, 128);
    OptionRange.check(spec, "--hang-limit-ms", hangLimitMs, 100, 60_000);
    final Set<FaultKind> chosen = chosenKinds();
    if (pageOnly) {
      writePage(new ObjectMapper().readTree(out.resolve(JSON_NAME).toFile()));
      return 0;
    }
    final long actualSeed = seed == null ? new Random().nextInt(Integer.MAX_VALUE) : seed;
    final Path folder = Files.createDirectories(out).toAbsolutePath().normalize();
    if (PrivateMounts.folder() == null && PrivateMounts.arePossible()) {
      return PrivateMounts.run(
          arguments(folder, actualSeed), spec.commandLine().getOut(), spec.commandLine().getErr());
    }
    return run(
        new ChaosSettings(
            seconds,
            actualSeed,
            folder,
            chosen,
            megabytes,
            hangLimitMs,
            PrivateMounts.folder(),
            Placement.clientCore(),
            Placement.reactorCore()));
  }

  private List<String> arguments(final Path folder, final long actualSeed) {
    final List<String> arguments =
        new ArrayList<>(
            List.of(
                "chaos",
                "--seconds",
                Integer.toString(seconds),
                "--seed",
                Long.toString(actualSeed),
                "--out",
                folder.toString(),
                "--size",
                Integer.toString(megabytes),
                "--hang-limit-ms",
                Integer.toString(hangLimitMs)));
    if (!kinds.isEmpty()) {
      arguments.addAll(List.of("--faults", String.join(",", kinds)));
    }
    return arguments;
  }

  private Set<FaultKind> chosenKinds() {
    final Set<FaultKind> chosen = EnumSet.noneOf(FaultKind.class);
    for (final String name : kinds) {
      FaultKind found = null;
      for (final FaultKind kind : FaultKind.values()) {
        found = kind.label().equals(name.strip().toLowerCase(Locale.ROOT)) ? kind : found;
      }
      if (found == null) {
        final List<String> known =
            EnumSet.allOf(FaultKind.class).stream().map(FaultKind::label).toList();
        throw new ParameterException(
            spec.commandLine(), "--faults: there is no '" + name + "'; known are " + known);
      }
      chosen.add(found);
    }
    return chosen.isEmpty() ? EnumSet.allOf(FaultKind.class) : chosen;
  }

  private int run(final ChaosSettings settings) throws IOException {
    final PrintWriter err = spec.commandLine().getErr();
    final Campaign campaign = new Campaign(settings, err);
    return campaign.guard(
        () -> {
          final CampaignReport report = campaign.run();
          final JsonNode json = report.toJson();
          Files.writeString(
              settings.out().resolve(JSON_NAME), new ObjectMapper().writeValueAsString(json));
          writePage(json);
          final PrintWriter stdout = spec.commandLine().getOut();
          stdout.println(summary(json));
          stdout.flush();
          return report.isSound() ? 0 : 1;
        });
  }

  private void writePage(final JsonNode json) throws IOException {
    Files.writeString(out.resolve(PAGE_NAME), ReportPage.render(json));
  }

  private String summary(final JsonNode json) {
    return String.format(
        Locale.ROOT,
        "%s: %d faults in %.0f s, %d requests, %d errors, %d blocks checked (seed %d); report: %s",
        json.path("sound").asBoolean() ? "OK" : "FAILED",
        json.path("faults").size(),
        json.path("seconds").asDouble(),
        json.path("ios").asLong(),
        json.path("errors").asLong(),
        json.path("verified_blocks").asLong(),
        json.path("seed").asLong(),
        out.resolve(PAGE_NAME));
  }
}

package io.virtnvme.tools.bench;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import io.virtnvme.tools.Main;
import io.virtnvme.tools.pair.Leftovers;
import java.io.IOException;
import java.io.PrintWriter;
import java.io.StringWriter;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.concurrent.TimeUnit;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import picocli.CommandLine;

@Tag("once")
class BenchCommandTest {
  private static final Pattern RUN_DIRECTORY = Pattern.compile("run directory (\\S+)");

  private final StringWriter out = new StringWriter();
  private final StringWriter err = new StringWriter();

  @TempDir private Path folder;

  private int run(final String... arguments) {
    final CommandLine command =
        new CommandLine(new BenchCommand())
            .setCaseInsensitiveEnumValuesAllowed(true)
            .setExecutionExceptionHandler(
                (failure, commandLine, parsed) -> {
                  commandLine.getErr().println(failure.getMessage());
                  return Main.EXIT_FAILURE;
                })
            .setOut(new PrintWriter(out))
            .setErr(new PrintWriter(err));
    return command.execute(arguments);
  }

  @ParameterizedTest
  @CsvSource({
    "--bdev, tape",
    "--bdev, uring:",
    "--work, randread;juggle",
    "--queue-depth, 1;0",
    "--queue-depth, 257",
    "--queue-depth, many",
    "--seconds, 0",
    "--rounds, -3",
    "--rate, -1",
    "--client, libnone",
    "--client, libblkio:",
    "--size, 0",
    "--warm-up-ms, -1",
    "--compare, colours",
    "--peer, somebody",
    "--no-such-option, x",
  })
  void shouldRefuseAnOptionAndNameItsValue(final String option, final String value) {
    final String list = value.replace(';', ',');
    final String wrong = list.substring(list.indexOf(',') + 1);

    assertEquals(2, run(option, list), () -> out + "\n" + err);

    assertTrue(err.toString().contains(wrong), err.toString());
    assertTrue(err.toString().contains(option), err.toString());
  }

  @Test
  void shouldRefuseOptionsThatContradictEachOther() {
    assertEquals(2, run("--packed", "--no-journal"));
    assertEquals(2, run("--packed", "--compare", "journal"));
    assertEquals(2, run("--front-end", "qpair", "--packed"));
    assertEquals(2, run("--client", "libblkio", "--packed"));
    assertEquals(2, run("--compare", "journal", "--bdev", "uring:" + folder.resolve("f")));
    assertTrue(err.toString().contains(folder.resolve("f").toString()), err.toString());
  }

  @Test
  @Timeout(value = 5, unit = TimeUnit.MINUTES)
  void shouldCompareInAlternationAndLeaveNothingBehind() throws IOException {
    final int exitCode =
        run(
            "--json",
            "--bdev",
            "mem",
            "--size",
            "16",
            "--seconds",
            "1",
            "--rounds",
            "2",
            "--warm-up-ms",
            "100",
            "--work",
            "mixed,seqwrite",
            "--queue-depth",
            "4",
            "--compare",
            "journal",
            "--out",
            folder.resolve("result").toString());

    assertEquals(0, exitCode, () -> out + "\n" + err);
    final JsonNode report = new ObjectMapper().readTree(out.toString());
    assertEquals(report, new ObjectMapper().readTree(folder.resolve("result/bench.json").toFile()));
    final String page = Files.readString(folder.resolve("result/bench.html"));
    assertTrue(page.contains("virtnvme mem, no journal"), page);
    assertTrue(page.contains("bench --json --bdev mem --size 16"), page);
    assertTrue(report.path("complete").asBoolean());
    final JsonNode results = report.path("results");
    assertEquals(4, results.size());
    for (int i = 0; i < results.size(); i++) {
      final JsonNode result = results.get(i);
      assertEquals(i < 2 ? "mixed" : "seqwrite", result.path("work").asText());
      assertEquals(4, result.path("queueDepth").asInt());
      assertEquals(
          i % 2 == 0 ? "virtnvme mem" : "virtnvme mem, no journal",
          result.path("subject").asText());
      assertEquals(2, result.path("runs").size());
      assertTrue(result.path("iops").asLong() > 0);
      assertTrue(result.path("iopsMin").asLong() <= result.path("iopsMax").asLong());
      assertTrue(result.path("p50Us").asDouble() > 0);
      assertTrue(result.path("p50Us").asDouble() <= result.path("p99Us").asDouble());
      assertTrue(result.path("p99Us").asDouble() <= result.path("p999Us").asDouble());
      assertTrue(result.path("cpu").isNumber());
    }
    final Matcher runDirectory = RUN_DIRECTORY.matcher(err.toString());
    for (int i = 0; i < 2; i++) {
      assertTrue(runDirectory.find());
      final Path path = Path.of(runDirectory.group(1));
      assertFalse(Files.exists(path));
      assertTrue(Leftovers.processesOf(path).isEmpty());
    }
  }

  @Test
  @Timeout(value = 5, unit = TimeUnit.MINUTES)
  void shouldMeasureAQueuePair() throws IOException {
    final String[] arguments = {
      "--json --front-end qpair --size 16 --seconds 1 --rounds 1 --warm-up-ms 100",
      "--work mixed,seqread --queue-depth 1,32"
    };
    final int exitCode = run(String.join(" ", arguments).split(" ", -1));

    assertEquals(0, exitCode, () -> out + "\n" + err);
    final JsonNode results = new ObjectMapper().readTree(out.toString()).path("results");
    assertEquals(4, results.size());
    for (final JsonNode result : results) {
      assertEquals("virtnvme qpair mem", result.path("subject").asText());
      assertTrue(result.path("iops").asLong() > 0);
    }
  }

  @Test
  @Timeout(value = 5, unit = TimeUnit.MINUTES)
  void shouldSayWhichBackEndCannotBeReachedAndKeepWhatWasMeasured() throws IOException {
    final String socket = folder.resolve("nobody").toString();

    final int exitCode =
        run(
            "--json",
            "--bdev",
            "null",
            "--size",
            "16",
            "--seconds",
            "1",
            "--rounds",
            "1",
            "--warm-up-ms",
            "0",
            "--work",
            "randread",
            "--queue-depth",
            "1",
            "--socket",
            socket);

    assertEquals(1, exitCode, () -> out + "\n" + err);
    assertTrue(err.toString().contains(socket), err.toString());
    final JsonNode report = new ObjectMapper().readTree(out.toString());
    assertFalse(report.path("complete").asBoolean());
    assertTrue(report.path("message").asText().contains(socket), out.toString());
    assertEquals(1, report.path("results").size());
    assertEquals("virtnvme null", report.path("results").get(0).path("subject").asText());
  }
}

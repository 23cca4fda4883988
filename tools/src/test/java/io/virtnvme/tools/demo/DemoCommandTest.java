package io.virtnvme.tools.demo;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import io.virtnvme.tools.pair.Leftovers;
import java.io.IOException;
import java.io.PrintWriter;
import java.io.StringWriter;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.concurrent.TimeUnit;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;
import picocli.CommandLine;

class DemoCommandTest {
  private static final Pattern RUN_DIRECTORY = Pattern.compile("run directory (\\S+)");

  @ParameterizedTest
  @ValueSource(strings = {"mem", "uring"})
  @Timeout(value = 5, unit = TimeUnit.MINUTES)
  void shouldSurviveItsKillsAndLeaveNothingBehind(final String bdev) throws IOException {
    final StringWriter out = new StringWriter();
    final StringWriter err = new StringWriter();
    final CommandLine command =
        new CommandLine(new DemoCommand())
            .setCaseInsensitiveEnumValuesAllowed(true)
            .setOut(new PrintWriter(out))
            .setErr(new PrintWriter(err));

    final int exitCode =
        command.execute("--json", "--seconds", "3", "--kills", "1", "--size", "16", "--bdev", bdev);

    assertEquals(0, exitCode, () -> out + "\n" + err);
    final JsonNode result = new ObjectMapper().readTree(out.toString());
    assertTrue(result.path("ios").asLong() > 0);
    assertEquals(0, result.path("errors").asLong());
    assertTrue(result.path("verified").asBoolean());
    assertEquals(1, result.path("kills").asInt());
    assertTrue(result.path("blackoutMs").path("max").asDouble() > 0);
    assertEquals(16 * 256, result.path("readBackBlocks").asInt());
    assertEquals(1, result.path("recoveries").size());
    final Matcher runDirectory = RUN_DIRECTORY.matcher(err.toString());
    assertTrue(runDirectory.find());
    assertFalse(Files.exists(Path.of(runDirectory.group(1))));
    assertTrue(Leftovers.processesOf(Path.of(runDirectory.group(1))).isEmpty());
  }
}

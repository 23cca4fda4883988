package io.virtnvme.tools.chaos;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.IOException;
import java.io.PrintWriter;
import java.io.StringWriter;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.concurrent.TimeUnit;
import java.util.stream.Stream;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;
import picocli.CommandLine;

@Tag("once")
class ChaosCommandTest {
  @TempDir private Path folder;

  private static int execute(final StringWriter err, final String... arguments) {
    return new CommandLine(new ChaosCommand())
        .setOut(new PrintWriter(new StringWriter()))
        .setErr(new PrintWriter(err))
        .execute(arguments);
  }

  @Test
  @Timeout(value = 8, unit = TimeUnit.MINUTES)
  void shouldStrikeAndReportAndLeaveNothingButTheReport() throws IOException {
    final StringWriter err = new StringWriter();
    final String kinds = "slave,reconnect,everything,nothing";
    final int exitCode =
        execute(
            err,
            "--seconds",
            "6",
            "--seed",
            "3",
            "--size",
            "8",
            "--faults",
            kinds,
            "--out",
            folder.toString());
    assertEquals(0, exitCode, err::toString);
    final JsonNode campaign = new ObjectMapper().readTree(folder.resolve("campaign.json").toFile());
    assertTrue(campaign.path("sound").asBoolean());
    assertEquals(0, campaign.path("errors").asLong());
    assertEquals(3, campaign.path("seed").asLong());
    assertTrue(!campaign.path("faults").isEmpty(), "no fault in the whole time");
    assertEquals(4 * 8 * 256, campaign.path("read_back_blocks").asInt());
    assertEquals(4, campaign.path("kinds").size());
    try (Stream<Path> left = Files.list(folder)) {
      assertEquals(
          List.of("campaign.json", "report.html"),
          left.map(path -> path.getFileName().toString()).sorted().toList());
    }
  }

  @Test
  void shouldNameTheFaultsThatItKnows() {
    final StringWriter err = new StringWriter();
    assertEquals(2, execute(err, "--out", folder.toString(), "--faults", "earthquake"));
    assertTrue(err.toString().contains("'earthquake'"), err::toString);
    assertTrue(err.toString().contains("slave-and-standby"), err::toString);
  }
}

package io.virtnvme.tools;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.PrintWriter;
import java.io.StringWriter;
import java.nio.file.Path;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;
import picocli.CommandLine;

class MainTest {
  private final StringWriter out = new StringWriter();
  private final StringWriter err = new StringWriter();

  @TempDir private Path folder;

  private int run(final String... arguments) {
    final CommandLine commandLine = Main.commandLine();
    commandLine.setOut(new PrintWriter(out));
    commandLine.setErr(new PrintWriter(err));
    return commandLine.execute(arguments);
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "demo", "bench", "up", "rpc", "status", "read", "export", "migrate", "receive", "nvme",
        "version"
      })
  void shouldExplainEachCommand(final String command) {
    assertEquals(0, run(command, "--help"));
    assertTrue(out.toString().contains("Usage: virtnvme " + command), out.toString());
  }

  @Test
  void shouldListCommandsButNotTheHiddenOnes() {
    assertEquals(0, run("help"));
    assertTrue(out.toString().contains("demo"));
    assertFalse(out.toString().contains("train"));
    assertFalse(out.toString().contains("bench-load"));
  }

  @Test
  void shouldTellItsVersion() {
    assertEquals(0, run("version"));
    assertTrue(out.toString().startsWith("virtnvme "), out.toString());
  }

  @Test
  void shouldEndWithUsageErrorForAnUnknownCommandOrValue() {
    assertEquals(2, run("nonsense"));
    assertEquals(2, run("demo", "--kills", "many"));
    assertEquals(2, run("demo", "--kills", "-1"));
    assertEquals(2, run("demo", "--bdev", "tape"));
    assertEquals(2, run("rpc"));
    assertEquals(2, run("export", "backup"));
    assertEquals(2, run("demo", "--front-end", "qpair"));
    assertEquals(2, run("migrate", "--disk", "d", "--to", "h:1"));
    assertEquals(2, run("migrate", "--disk", "d", "--to", "h", "--insecure"));
    assertEquals(2, run("migrate", "--disk", "d", "--to", "h:0", "--insecure"));
    assertEquals(
        2, run("migrate", "--disk", "d", "--to", "h:1", "--insecure", "--tls-keystore", "k"));
    assertEquals(
        2, run("migrate", "--disk", "d", "--to", "h:1", "--insecure", "--max-blackout", "0"));
    assertEquals(2, run("receive", "--disk", "d", "--listen", "h:99999", "--insecure"));
    assertEquals(2, run("read"));
    assertEquals(2, run("read", "backup", "--offset", "-1"));
    assertEquals(2, run("read", "backup", "--chunk", "5000"));
    assertEquals(2, run("read", "backup", "--json"));
    assertEquals(2, run("rpc", "--run-dir", folder.toString(), "bdev_get_bdevs", "{not json"));
    assertEquals(2, run("up", "--run-dir", folder.toString(), "--cores", "1-x"));
  }

  @Test
  void shouldFailWithAReasonWhenNoMasterIsThere() {
    assertEquals(1, run("rpc", "--run-dir", folder.toString(), "bdev_get_bdevs"));
    assertTrue(err.toString().contains("rpc.sock"), err.toString());
    assertFalse(err.toString().contains("\tat "), err.toString());
  }

  @Test
  void shouldFailWithAReasonWhenNoEndpointIsThere() {
    assertEquals(1, run("read", "--run-dir", folder.toString(), "backup"));
    assertEquals(1, run("export", "--run-dir", folder.toString(), "backup", "--nbd", "unix:/x"));
    assertTrue(err.toString().contains("virtnvme/backup"), err.toString());
    assertFalse(err.toString().contains("\tat "), err.toString());
  }

  @Test
  void shouldAskForAReportOfWhatNeverShouldHappen() throws Exception {
    final CommandLine commandLine = Main.commandLine();
    commandLine.setErr(new PrintWriter(err, true));
    assertEquals(
        1,
        commandLine
            .getExecutionExceptionHandler()
            .handleExecutionException(
                new IllegalStateException("index=7"), commandLine, commandLine.getParseResult()));
    final String text = err.toString();
    assertTrue(text.startsWith("virtnvme met a fault of its own; please report this:"), text);
    assertTrue(text.contains("index=7"), text);
    assertTrue(text.contains("\tat " + MainTest.class.getName()), text);
  }

  @Test
  void shouldShowAnEmptyRunDirectoryWithoutAMaster() {
    assertEquals(1, run("status", "--run-dir", folder.toString()));
    assertTrue(out.toString().contains("not answering"), out.toString());
    assertEquals(1, run("status", "--json", "--run-dir", folder.toString()));
    assertEquals(1, run("status", "--run-dir", folder.resolve("missing").toString()));
    assertTrue(err.toString().contains("virtnvme up"), err.toString());
  }
}

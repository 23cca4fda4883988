package io.virtnvme.chaos;

import static org.junit.jupiter.api.Assertions.assertTrue;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import io.virtnvme.tools.Main;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.concurrent.TimeUnit;

/** A {@code virtnvme} command in a process of its own, with what it said. */
record CommandProcess(Process process, Path said) implements AutoCloseable {
  private static final long LIMIT_SECONDS = 60;

  /** Starts it; what it says goes to a new file of the folder. */
  static CommandProcess start(final Path folder, final List<String> arguments) throws IOException {
    final Path said = Files.createTempFile(folder, arguments.get(0), ".said");
    return new CommandProcess(
        new ProcessBuilder(
                ChildJvm.command(List.of(ChildJvm.FIRST_COMPILER_ONLY), Main.class, arguments))
            .redirectErrorStream(true)
            .redirectOutput(said.toFile())
            .start(),
        said);
  }

  String text() throws IOException {
    return Files.readString(said);
  }

  /** Its exit code. */
  int end() throws IOException, InterruptedException {
    assertTrue(process.waitFor(LIMIT_SECONDS, TimeUnit.SECONDS), "does not end: " + text());
    return process.exitValue();
  }

  /** The JSON object that it printed last. */
  JsonNode result() throws IOException {
    final String text = text().strip();
    return new ObjectMapper().readTree(text.substring(text.lastIndexOf('\n') + 1));
  }

  void kill() {
    Victim.kill(Math.toIntExact(process.pid()));
  }

  @Override
  public void close() {
    process.destroyForcibly();
  }
}

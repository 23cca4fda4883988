package io.virtnvme.tools;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.File;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.TimeUnit;

/**
 * Another installation, as its own launcher describes it.
 *
 * @param version of the build
 * @param formats versions by name, as {@code virtnvme version --json} prints them
 * @param slaveCommand starts a slave of it
 * @param command starts any command of it
 */
record OtherBuild(
    String version, JsonNode formats, List<String> slaveCommand, List<String> command) {
  private static final ObjectMapper JSON = new ObjectMapper();

  /** It may have to build itself first. */
  private static final long LIMIT_SECONDS = 900;

  OtherBuild {
    slaveCommand = List.copyOf(slaveCommand);
    command = List.copyOf(command);
  }

  /**
   * Asks an installation what it is.
   *
   * @param path the folder with its launcher, or the launcher
   * @throws CommandFailedException when there is none, or it does not work
   */
  static OtherBuild at(final Path path) throws IOException, InterruptedException {
    final Path launcher = Files.isDirectory(path) ? path.resolve("virtnvme") : path;
    if (!Files.isExecutable(launcher)) {
      throw new CommandFailedException(
          launcher + " is no executable file: give the folder of an installation with --to");
    }
    final Path output = Files.createTempFile("virtnvme-", ".json");
    try {
      return parse(launcher, ask(launcher, output));
    } finally {
      Files.delete(output);
    }
  }

  private static String ask(final Path launcher, final Path output)
      throws IOException, InterruptedException {
    final Process process =
        new ProcessBuilder(launcher.toAbsolutePath().toString(), "version", "--json")
            .redirectError(ProcessBuilder.Redirect.INHERIT)
            .redirectOutput(output.toFile())
            .redirectInput(new File("/dev/null"))
            .start();
    if (!process.waitFor(LIMIT_SECONDS, TimeUnit.SECONDS)) {
      process.destroyForcibly();
      throw new CommandFailedException(
          launcher + " version --json does not end in " + LIMIT_SECONDS + " s");
    }
    if (process.exitValue() != 0) {
      throw new CommandFailedException(
          launcher
              + " version --json ended with exit code "
              + process.exitValue()
              + ": this build does not run here, or is too old for an upgrade while it runs");
    }
    return Files.readString(output);
  }

  private static OtherBuild parse(final Path launcher, final String text) {
    try {
      final JsonNode json = JSON.readTree(text);
      final OtherBuild build =
          new OtherBuild(
              json.path("version").asText(),
              json.path("formats"),
              words(json.path("slave_command")),
              words(json.path("command")));
      if (build.version.isEmpty() || build.slaveCommand.isEmpty() || build.command.isEmpty()) {
        throw new CommandFailedException(
            launcher + " version --json does not say what it is: " + text.strip());
      }
      return build;
    } catch (final JsonProcessingException e) {
      throw new CommandFailedException(
          launcher + " version --json printed no JSON: " + text.strip());
    }
  }

  private static List<String> words(final JsonNode array) {
    final List<String> words = new ArrayList<>();
    array.forEach(word -> words.add(word.asText()));
    return words;
  }
}

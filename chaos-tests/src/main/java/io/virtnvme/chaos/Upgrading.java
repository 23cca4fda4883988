package io.virtnvme.chaos;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import io.virtnvme.tools.Main;
import java.io.File;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.TimeUnit;

/**
 * {@code virtnvme upgrade} as an operator runs it, in a process of its own.
 *
 * @param exitCode of the command
 * @param output what it printed
 * @param errors what it printed to stderr
 */
record Upgrading(int exitCode, String output, String errors) {
  private static final long LIMIT_SECONDS = 300;

  /** Runs the command to its end. */
  static Upgrading run(final Pair pair, final Path to, final List<String> moreArguments) {
    final List<String> arguments =
        new ArrayList<>(
            List.of(
                "upgrade", "--json", "--run-dir", pair.path().toString(), "--to", to.toString()));
    arguments.addAll(moreArguments);
    try {
      final Path output = Files.createTempFile(pair.path(), "upgrade-", ".json");
      final Path errors = Files.createTempFile(pair.path(), "upgrade-", ".log");
      final ProcessBuilder builder =
          new ProcessBuilder(
              ChildJvm.command(List.of(ChildJvm.FIRST_COMPILER_ONLY), Main.class, arguments));
      builder.environment().put("JAVA_HOME", System.getProperty("java.home"));
      builder.environment().put("VIRTNVME_NO_BUILD", "1");
      builder.environment().put("VIRTNVME_NO_CDS", "1");
      builder
          .environment()
          .put("VIRTNVME_JAVA_OPTIONS", String.join(" ", pair.options().jvmFlags()));
      final Process process =
          builder
              .redirectOutput(output.toFile())
              .redirectError(errors.toFile())
              .redirectInput(new File("/dev/null"))
              .start();
      if (!process.waitFor(LIMIT_SECONDS, TimeUnit.SECONDS)) {
        process.destroyForcibly();
        throw new AssertionError("the upgrade does not end: " + Files.readString(errors));
      }
      return new Upgrading(process.exitValue(), Files.readString(output), Files.readString(errors));
    } catch (final IOException e) {
      throw new UncheckedIOException(e);
    } catch (final InterruptedException e) {
      Thread.currentThread().interrupt();
      throw new AssertionError("interrupted", e);
    }
  }

  /** What it printed; fails unless it succeeded. */
  JsonNode result() {
    if (exitCode != 0) {
      throw new AssertionError("the upgrade failed: " + errors + output);
    }
    try {
      return new ObjectMapper().readTree(output);
    } catch (final IOException e) {
      throw new AssertionError("no JSON: " + output, e);
    }
  }
}

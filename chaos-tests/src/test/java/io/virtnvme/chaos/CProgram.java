package io.virtnvme.chaos;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.Assumptions;

/** A program in C that a test compiles, with the headers of docs. Any thread. */
final class CProgram {
  private static final Path COMPILER = Path.of("/usr/bin/cc");
  private static final int LIMIT_SECONDS = 60;

  private final Path program;

  private CProgram(final Path program) {
    this.program = program;
  }

  /**
   * Compiles {@code src/test/c/NAME.c}. Without a compiler the test is skipped, or fails where
   * guests must run as well: nothing may be missing there.
   */
  static CProgram compile(final String name, final Path folder) throws IOException {
    if (!Files.isExecutable(COMPILER) && Boolean.getBoolean("virtnvme.guest.required")) {
      throw new AssertionError("no C compiler: apt-get install gcc libc6-dev");
    }
    Assumptions.assumeTrue(Files.isExecutable(COMPILER), "no C compiler");
    final CProgram compiled = new CProgram(folder.resolve(name));
    final Process process =
        new ProcessBuilder(
                COMPILER.toString(),
                "-std=c11",
                "-O2",
                "-Wall",
                "-Wextra",
                "-Wpedantic",
                "-Werror",
                "-I",
                Path.of("..", "docs").toString(),
                Path.of("src", "test", "c", name + ".c").toString(),
                "-o",
                compiled.program.toString())
            .redirectErrorStream(true)
            .start();
    compiled.requireEnd(process, 0);
    return compiled;
  }

  /** For users who cannot reach the folder of the test. */
  void copyTo(final Path copy) throws IOException {
    Files.copy(program, copy);
  }

  /** Runs it to its end; what it said, both streams. */
  String run(final int exitCode, final String... arguments) throws IOException {
    return requireEnd(start(arguments), exitCode);
  }

  /** Starts it; the caller ends it. */
  Process start(final String... arguments) throws IOException {
    final List<String> command = new ArrayList<>(List.of(program.toString()));
    command.addAll(List.of(arguments));
    return new ProcessBuilder(command).redirectErrorStream(true).start();
  }

  /** Ends its input, and waits for its end; what it said since. */
  String requireEnd(final Process process, final int exitCode) throws IOException {
    try {
      process.getOutputStream().close();
      // What is said fits the pipe.
      if (!process.waitFor(LIMIT_SECONDS, TimeUnit.SECONDS)) {
        throw new AssertionError(program + " does not end");
      }
      final String said =
          new String(process.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
      if (process.exitValue() != exitCode) {
        throw new AssertionError(
            program
                + " ended with "
                + process.exitValue()
                + " instead of "
                + exitCode
                + ": "
                + said);
      }
      return said;
    } catch (final InterruptedException e) {
      Thread.currentThread().interrupt();
      throw new AssertionError("interrupted", e);
    } finally {
      process.destroyForcibly();
    }
  }
}

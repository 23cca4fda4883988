package io.virtnvme.ipc.sys;

import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStreamReader;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.TimeUnit;

/**
 * A class of the tests in a JVM of its own: it says lines on its standard output, its standard
 * input ends with {@link #endInput}, its errors go where ours go. One thread.
 */
final class TestProcess implements AutoCloseable {
  private static final int DEATH_LIMIT_SECONDS = 20;

  private final Process process;
  private final BufferedReader output;

  private TestProcess(final Process process) {
    this.process = process;
    this.output =
        new BufferedReader(new InputStreamReader(process.getInputStream(), StandardCharsets.UTF_8));
  }

  /** Runs a main class that has the class path of this JVM. */
  static TestProcess start(final Class<?> mainClass, final String... arguments) throws IOException {
    final List<String> command =
        new ArrayList<>(
            List.of(
                Path.of(System.getProperty("java.home"), "bin", "java").toString(),
                "--add-exports=java.base/jdk.internal.misc=ALL-UNNAMED",
                "-XX:+UseSerialGC",
                "-cp",
                System.getProperty("java.class.path"),
                mainClass.getName()));
    command.addAll(List.of(arguments));
    return new TestProcess(
        new ProcessBuilder(command).redirectError(ProcessBuilder.Redirect.INHERIT).start());
  }

  int pid() {
    return (int) process.pid();
  }

  /** The next line that it says; null when it has ended. */
  String readLine() throws IOException {
    return output.readLine();
  }

  void endInput() throws IOException {
    process.getOutputStream().close();
  }

  /** Sends SIGKILL and does not wait. */
  void kill() {
    process.destroyForcibly();
  }

  /** Waits, for a bounded time, until it has ended; its exit code. */
  int awaitEnd() throws InterruptedException {
    assertTrue(process.waitFor(DEATH_LIMIT_SECONDS, TimeUnit.SECONDS), "it does not end");
    return process.exitValue();
  }

  @Override
  public void close() throws IOException {
    kill();
    try {
      awaitEnd();
    } catch (final InterruptedException e) {
      Thread.currentThread().interrupt();
      throw new AssertionError("interrupted before it has ended", e);
    }
    output.close();
  }
}

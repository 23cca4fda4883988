package io.virtnvme.chaos.guest;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.TimeUnit;

/**
 * A process that cannot outlive this JVM: {@link #close()} ends it, and the kernel ends it when the
 * JVM dies in any other way. Standard output and error go to one log file.
 */
final class ChildProcess implements AutoCloseable {
  private static final Duration TERM_TIMEOUT = Duration.ofSeconds(3);
  private static final Duration KILL_TIMEOUT = Duration.ofSeconds(20);
  private static final int LOG_TAIL_LENGTH = 4096;
  private static final Path SETPRIV = Path.of("/usr/bin/setpriv");

  // The kernel sends the parent-death signal when the thread that started the child ends, so that
  // thread must stay.
  private static final ExecutorService SPAWNER =
      Executors.newSingleThreadExecutor(
          task -> {
            final Thread thread = new Thread(task, "child-spawner");
            thread.setDaemon(true);
            return thread;
          });

  private final Process process;
  private final String name;
  private final Path log;

  private ChildProcess(final Process process, final String name, final Path log) {
    this.process = process;
    this.name = name;
    this.log = log;
  }

  /**
   * Starts a program.
   *
   * @param command program and arguments; the program is looked up in PATH
   * @param log where its output goes, appended
   * @return the running process
   * @throws IOException when it cannot be started
   */
  static ChildProcess start(final List<String> command, final Path log) throws IOException {
    final List<String> line = new ArrayList<>();
    if (Files.isExecutable(SETPRIV)) {
      line.addAll(List.of(SETPRIV.toString(), "--pdeathsig", "KILL", "--"));
    }
    line.addAll(command);
    final ProcessBuilder builder =
        new ProcessBuilder(line)
            .redirectInput(Path.of("/dev/null").toFile())
            .redirectErrorStream(true)
            .redirectOutput(ProcessBuilder.Redirect.appendTo(log.toFile()));
    try {
      return new ChildProcess(SPAWNER.submit(builder::start).get(), command.get(0), log);
    } catch (final ExecutionException e) {
      throw new IOException("cannot start " + command.get(0), e.getCause());
    } catch (final InterruptedException e) {
      Thread.currentThread().interrupt();
      throw new IOException("interrupted while starting " + command.get(0), e);
    }
  }

  long pid() {
    return process.pid();
  }

  boolean isAlive() {
    return process.isAlive();
  }

  CompletableFuture<Process> onExit() {
    return process.onExit();
  }

  /** SIGKILL, and back only when the kernel has reaped it. */
  void kill() {
    process.destroyForcibly();
    awaitExit(KILL_TIMEOUT);
  }

  int awaitExit(final Duration timeout) {
    try {
      if (process.waitFor(timeout.toNanos(), TimeUnit.NANOSECONDS)) {
        return process.exitValue();
      }
    } catch (final InterruptedException e) {
      process.destroyForcibly();
      Thread.currentThread().interrupt();
    }
    throw new GuestTimeoutException(
        name + " still runs: pid=" + pid() + " timeoutMs=" + timeout.toMillis() + "\n" + logTail());
  }

  boolean exitsWithin(final Duration timeout) {
    try {
      return process.waitFor(timeout.toNanos(), TimeUnit.NANOSECONDS);
    } catch (final InterruptedException e) {
      Thread.currentThread().interrupt();
      return false;
    }
  }

  /** The end of what the process wrote, for error texts. */
  String logTail() {
    try {
      final byte[] bytes = Files.readAllBytes(log);
      final int offset = Math.max(0, bytes.length - LOG_TAIL_LENGTH);
      return new String(bytes, offset, bytes.length - offset, StandardCharsets.UTF_8);
    } catch (final IOException e) {
      throw new UncheckedIOException("cannot read " + log, e);
    }
  }

  /** How it ended, in words: {@code status 1} or {@code signal 9}. */
  String exitText() {
    final int status = process.exitValue();
    return status > 128 ? "signal " + (status - 128) : "status " + status;
  }

  @Override
  public void close() {
    process.destroy();
    if (!exitsWithin(TERM_TIMEOUT)) {
      kill();
    }
  }
}

package io.virtnvme.tools.load;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import io.virtnvme.tools.CommandFailedException;
import java.io.File;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.locks.LockSupport;
import java.util.function.Supplier;

/**
 * {@code virtnvme load} as a process of its own, watched through its progress file. Used by one
 * thread; {@link #close} may come from another one.
 */
public final class ClientProcess implements AutoCloseable {
  private static final long CONNECT_LIMIT_NS = TimeUnit.SECONDS.toNanos(60);
  private static final long POLL_NS = TimeUnit.MILLISECONDS.toNanos(20);

  private static final Duration END_LIMIT = Duration.ofMinutes(10);

  /** The memory of a large guest takes seconds to be torn down. */
  private static final long DEATH_LIMIT_SECONDS = 120;

  private final LoadProgress progress;
  private final Path output;
  private final Path errors;
  private final Process process;

  /**
   * Starts a client.
   *
   * @param virtnvme command line of {@code virtnvme}, without arguments
   * @param environment beside that of this process
   * @param folder takes its files
   * @param name of those files
   * @param socket of the disk
   * @param options of {@code virtnvme load}, without socket and progress file
   */
  public ClientProcess(
      final List<String> virtnvme,
      final Map<String, String> environment,
      final Path folder,
      final String name,
      final Path socket,
      final List<String> options)
      throws IOException {
    final Path progressPath = folder.resolve(name + ".progress");
    output = folder.resolve(name + ".json");
    errors = folder.resolve(name + ".log");
    progress = LoadProgress.create(progressPath);
    final List<String> command = new ArrayList<>(virtnvme);
    command.addAll(
        List.of("load", "--socket", socket.toString(), "--progress", progressPath.toString()));
    command.addAll(options);
    final ProcessBuilder builder =
        new ProcessBuilder(command)
            .redirectOutput(output.toFile())
            .redirectError(errors.toFile())
            .redirectInput(new File("/dev/null"));
    builder.environment().putAll(environment);
    process = builder.start();
  }

  /** What the client tells while it runs. */
  public LoadProgress progress() {
    return progress;
  }

  /** Its process. */
  public int pid() {
    return Math.toIntExact(process.pid());
  }

  /** False once it has ended, for whatever reason. */
  public boolean isAlive() {
    return process.isAlive();
  }

  /**
   * Waits until the client has connected and sends requests.
   *
   * @param logs of the processes that serve it, for when it does not come to that
   */
  public void awaitRunning(final Supplier<String> logs) {
    final long deadlineNs = System.nanoTime() + CONNECT_LIMIT_NS;
    while (progress.state() == LoadProgress.State.CONNECTING) {
      check();
      if (System.nanoTime() - deadlineNs > 0) {
        throw new CommandFailedException("the load client did not start:\n" + logs.get());
      }
      LockSupport.parkNanos(POLL_NS);
    }
  }

  /** Throws when the client has given up, with what it said. */
  public void check() {
    if (!isAlive() || progress.state() == LoadProgress.State.FAILED) {
      throw new CommandFailedException("the load client gave up: " + said());
    }
  }

  /** {@link #finish(Duration)} with ten minutes. */
  public JsonNode finish() {
    return finish(END_LIMIT);
  }

  /**
   * Ends the load and waits until everything was read back.
   *
   * @return the client's result, sound or not
   * @throws CommandFailedException when it leaves none in time
   */
  public JsonNode finish(final Duration limit) {
    progress.command(LoadProgress.COMMAND_FINISH);
    try {
      if (!process.waitFor(limit.toMillis(), TimeUnit.MILLISECONDS)) {
        throw new CommandFailedException("the load client does not end: " + said());
      }
      final JsonNode result = new ObjectMapper().readTree(Files.readAllBytes(output));
      if (!result.path("ios").isNumber()) {
        throw new CommandFailedException("the load client left no result: " + said());
      }
      return result;
    } catch (final JsonProcessingException e) {
      throw new CommandFailedException("the load client left no result: " + said(), e);
    } catch (final IOException e) {
      throw new CommandFailedException("no result of the load client: " + e.getMessage(), e);
    } catch (final InterruptedException e) {
      Thread.currentThread().interrupt();
      throw new CommandFailedException("interrupted while the client read back", e);
    }
  }

  /** All that it has written to its outputs. */
  public String said() {
    try {
      return (Files.readString(output) + Files.readString(errors)).strip();
    } catch (final IOException e) {
      return e.getMessage();
    }
  }

  /** Kills it. The progress file stays mapped: another thread may be reading it. */
  @Override
  public void close() {
    process.destroyForcibly();
    try {
      process.waitFor(DEATH_LIMIT_SECONDS, TimeUnit.SECONDS);
    } catch (final InterruptedException e) {
      Thread.currentThread().interrupt();
    }
  }
}

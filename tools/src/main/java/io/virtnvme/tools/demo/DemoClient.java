package io.virtnvme.tools.demo;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import io.virtnvme.tools.CommandFailedException;
import io.virtnvme.tools.JvmCommand;
import io.virtnvme.tools.load.LoadProgress;
import io.virtnvme.tools.pair.TemporaryPair;
import java.io.File;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.locks.LockSupport;

/** A load client's process, watched through its progress file. Used by one thread. */
public final class DemoClient implements AutoCloseable {
  private static final long CONNECT_LIMIT_NS = TimeUnit.SECONDS.toNanos(60);
  private static final long POLL_NS = TimeUnit.MILLISECONDS.toNanos(20);
  private static final long END_LIMIT_MINUTES = 10;
  private static final long DEATH_LIMIT_MS = 5000;

  private final LoadProgress progress;
  private final Path output;
  private final Path errors;
  private final Process process;

  DemoClient(
      final DemoSettings settings, final TemporaryPair pair, final Map<String, String> environment)
      throws IOException {
    this(pair.runDirectory().path(), "client", pair.socket(), options(settings), environment);
  }

  /**
   * Starts a client.
   *
   * @param folder takes its files
   * @param name of those files
   * @param socket of the disk
   * @param options of {@code virtnvme load}, without socket and progress file
   * @param environment beside that of this process
   */
  public DemoClient(
      final Path folder,
      final String name,
      final Path socket,
      final List<String> options,
      final Map<String, String> environment)
      throws IOException {
    final Path progressPath = folder.resolve(name + ".progress");
    output = folder.resolve(name + ".json");
    errors = folder.resolve(name + ".log");
    progress = LoadProgress.create(progressPath);
    final List<String> arguments =
        new ArrayList<>(
            List.of("load", "--socket", socket.toString(), "--progress", progressPath.toString()));
    arguments.addAll(options);
    final ProcessBuilder builder =
        new ProcessBuilder(JvmCommand.of(arguments))
            .redirectOutput(output.toFile())
            .redirectError(errors.toFile())
            .redirectInput(new File("/dev/null"));
    builder.environment().putAll(environment);
    process = builder.start();
  }

  private static List<String> options(final DemoSettings settings) {
    final List<String> options =
        new ArrayList<>(
            List.of(
                "--blocks",
                Integer.toString(settings.blockCount()),
                "--queue-depth",
                Integer.toString(settings.queueDepth()),
                "--queues",
                Integer.toString(settings.queueCount()),
                "--memory",
                Integer.toString(settings.guestMegabytes()),
                "--seed",
                Long.toString(settings.seed()),
                "--core",
                Integer.toString(settings.clientCore())));
    if (settings.packed()) {
      options.add("--packed");
    }
    if (settings.hugePages()) {
      options.add("--huge-pages");
    }
    return options;
  }

  /** What the client tells while it runs. */
  public LoadProgress progress() {
    return progress;
  }

  /** Waits until the client has connected and sends requests. */
  public void awaitRunning(final TemporaryPair pair) {
    final long deadlineNs = System.nanoTime() + CONNECT_LIMIT_NS;
    while (progress.state() == LoadProgress.State.CONNECTING) {
      check();
      if (System.nanoTime() - deadlineNs > 0) {
        throw new CommandFailedException("the load client did not start:\n" + pair.logTail());
      }
      LockSupport.parkNanos(POLL_NS);
    }
  }

  /** Throws when the client has given up, with what it said. */
  public void check() {
    if (!process.isAlive() || progress.state() == LoadProgress.State.FAILED) {
      throw new CommandFailedException("the load client gave up: " + said());
    }
  }

  /** Ends the load and waits until everything was read back; the client's result. */
  public JsonNode finish() {
    progress.command(LoadProgress.COMMAND_FINISH);
    try {
      if (!process.waitFor(END_LIMIT_MINUTES, TimeUnit.MINUTES)) {
        throw new CommandFailedException("the load client does not end");
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

  private String said() {
    try {
      return (Files.readString(output) + Files.readString(errors)).strip();
    } catch (final IOException e) {
      return e.getMessage();
    }
  }

  @Override
  public void close() {
    process.destroyForcibly();
    try {
      process.waitFor(DEATH_LIMIT_MS, TimeUnit.MILLISECONDS);
    } catch (final InterruptedException e) {
      Thread.currentThread().interrupt();
    }
    // The mapping stays until this process ends: another thread may be reading it.
  }
}

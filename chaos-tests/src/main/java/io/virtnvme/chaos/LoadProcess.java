package io.virtnvme.chaos;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import io.virtnvme.ipc.sys.Processes;
import io.virtnvme.tools.Main;
import io.virtnvme.tools.load.LoadProgress;
import java.io.File;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.TimeUnit;

/**
 * A verifying load in a process of its own: it writes blocks that carry their number, version and
 * checksum, and judges every byte that it reads. {@link #finish} reads the whole disk back.
 */
final class LoadProcess implements AutoCloseable {
  private static final Duration START_LIMIT = Duration.ofSeconds(60);
  private static final long END_LIMIT_SECONDS = 120;

  private final Path output;
  private final Path errors;
  private final LoadProgress progress;
  private final Process process;

  private LoadProcess(
      final Path output, final Path errors, final LoadProgress progress, final Process process) {
    this.output = output;
    this.errors = errors;
    this.progress = progress;
    this.process = process;
  }

  /** Starts a load on a controller and returns when requests complete. */
  static LoadProcess start(final Pair pair, final String controller, final LoadOptions options) {
    final Path folder = pair.path();
    final Path progressPath = folder.resolve("load-" + controller + ".progress");
    final List<String> arguments =
        new ArrayList<>(
            List.of(
                "load",
                "--socket",
                pair.socket(controller),
                "--progress",
                progressPath.toString(),
                // Away from the slave's core, where there are two.
                "--core",
                "0"));
    arguments.addAll(options.arguments());
    if (options.packed()) {
      arguments.add("--packed");
    }
    final Path output = folder.resolve("load-" + controller + ".json");
    final Path errors = folder.resolve("load-" + controller + ".log");
    try {
      final LoadProgress progress = LoadProgress.create(progressPath);
      final Process process =
          new ProcessBuilder(ChildJvm.command(Main.class, arguments))
              .redirectOutput(output.toFile())
              .redirectError(errors.toFile())
              .redirectInput(new File("/dev/null"))
              .start();
      final LoadProcess load = new LoadProcess(output, errors, progress, process);
      load.awaitIos(1000);
      return load;
    } catch (final IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  /** Waits until so many more requests have completed. */
  void awaitIos(final long count) {
    final long before = progress.ios();
    Waiting.until(
        count + " more requests complete",
        START_LIMIT,
        () -> {
          check();
          return progress.ios() >= before + count;
        });
  }

  /** Throws when the load has found something wrong or given up. */
  void check() {
    if (progress.errors() > 0 || !process.isAlive()) {
      throw new AssertionError("the load failed: errors=" + progress.errors() + " " + said());
    }
  }

  /** Stops sending for a while: gives the cores to a standby that warms up. */
  void pause() {
    signal(Processes.SIGSTOP);
  }

  void resume() {
    signal(Processes.SIGCONT);
  }

  private void signal(final int signal) {
    try (Victim self = Victim.of(Math.toIntExact(process.pid()))) {
      self.signal(signal);
    }
  }

  LoadProgress progress() {
    return progress;
  }

  /** Ends the load and reads everything back; the result is sound, or this throws. */
  JsonNode finish() {
    progress.command(LoadProgress.COMMAND_FINISH);
    try {
      if (!process.waitFor(END_LIMIT_SECONDS, TimeUnit.SECONDS)) {
        throw new AssertionError("the load does not end: " + said());
      }
      final JsonNode result = new ObjectMapper().readTree(Files.readAllBytes(output));
      if (!result.path("sound").asBoolean()) {
        throw new AssertionError("the load found faults: " + said());
      }
      return result;
    } catch (final IOException e) {
      throw new AssertionError("the load left no result: " + said(), e);
    } catch (final InterruptedException e) {
      Thread.currentThread().interrupt();
      throw new AssertionError("interrupted", e);
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
      process.waitFor(END_LIMIT_SECONDS, TimeUnit.SECONDS);
    } catch (final InterruptedException e) {
      Thread.currentThread().interrupt();
    }
    progress.close();
  }
}

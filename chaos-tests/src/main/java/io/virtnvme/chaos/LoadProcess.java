package io.virtnvme.chaos;

import com.fasterxml.jackson.databind.JsonNode;
import io.virtnvme.ipc.sys.Processes;
import io.virtnvme.tools.CommandFailedException;
import io.virtnvme.tools.Main;
import io.virtnvme.tools.load.ClientProcess;
import io.virtnvme.tools.load.LoadProgress;
import io.virtnvme.tools.pair.FrontEnd;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import java.util.Map;

/**
 * A verifying load in a process of its own: it writes blocks that carry their number, version and
 * checksum, and judges every byte that it reads. {@link #finish} reads the whole disk back.
 */
final class LoadProcess implements AutoCloseable {
  private static final Duration START_LIMIT = Duration.ofSeconds(60);
  private static final Duration END_LIMIT = Duration.ofMinutes(2);

  private final ClientProcess client;

  private LoadProcess(final ClientProcess client) {
    this.client = client;
  }

  /** Starts a load on a controller and returns when requests complete. */
  static LoadProcess start(final Pair pair, final String controller, final LoadOptions options) {
    return start(pair, controller, options, Main.class);
  }

  /** The same; the main class takes the arguments of {@code virtnvme}. */
  static LoadProcess start(
      final Pair pair,
      final String controller,
      final LoadOptions options,
      final Class<?> mainClass) {
    try {
      final LoadProcess load =
          new LoadProcess(
              new ClientProcess(
                  ChildJvm.command(List.of(ChildJvm.FIRST_COMPILER_ONLY), mainClass, List.of()),
                  Map.of(),
                  pair.path(),
                  "load-" + controller,
                  Path.of(
                      options.frontEnd() == FrontEnd.NVME
                          ? pair.nvmeSocket(controller)
                          : pair.socket(controller)),
                  options.arguments()));
      load.awaitIos(1000);
      return load;
    } catch (final IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  /** Waits until so many more requests have completed. */
  void awaitIos(final long count) {
    final long before = client.progress().ios();
    Waiting.until(
        count + " more requests complete",
        START_LIMIT,
        () -> {
          check();
          return client.progress().ios() >= before + count;
        });
  }

  /** Throws when the load has found something wrong or given up. */
  void check() {
    final long errors = client.progress().errors();
    if (errors > 0 || !client.isAlive()) {
      throw new AssertionError("the load failed: errors=" + errors + " " + client.said());
    }
  }

  /**
   * Waits for warm standbys with this load at rest, since one that polls leaves them little of two
   * cores; returns when it is at work again.
   *
   * @param deadPid the slave killed last, which the master may not have noticed yet; 0 for none
   * @return the process that serves seat 0
   */
  int awaitStandbys(final Pair pair, final int standbyCount, final int deadPid) {
    pause();
    final int active = pair.activePidWithStandbys(standbyCount, deadPid);
    resume();
    awaitIos(2000);
    return active;
  }

  /** Stops sending for a while. */
  void pause() {
    signal(Processes.SIGSTOP);
  }

  void resume() {
    signal(Processes.SIGCONT);
  }

  private void signal(final int signal) {
    try (Victim self = Victim.of(client.pid())) {
      self.signal(signal);
    }
  }

  LoadProgress progress() {
    return client.progress();
  }

  /** Ends the load and reads everything back; the result is sound, or this throws. */
  JsonNode finish() {
    final JsonNode result;
    try {
      result = client.finish(END_LIMIT);
    } catch (final CommandFailedException e) {
      throw new AssertionError(e.getMessage(), e);
    }
    if (!result.path("sound").asBoolean()) {
      throw new AssertionError("the load found faults: " + client.said());
    }
    return result;
  }

  @Override
  public void close() {
    client.close();
    client.progress().close();
  }
}

package io.virtnvme.master;

import com.fasterxml.jackson.databind.JsonNode;
import io.virtnvme.master.rpc.RpcClient;
import io.virtnvme.master.rpc.RpcException;
import java.io.File;
import java.io.IOException;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.TimeUnit;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Lets the master of another build run for a moment, as a child, while this one has let go of
 * everything: it must adopt what runs, answer, and leave it again. Main thread; {@link #end} any.
 */
final class Trial {
  private static final Logger LOG = LoggerFactory.getLogger(Trial.class);
  private static final String LEAVE = "--leave-slaves";
  private static final long POLL_MS = 20;
  private static final Duration ANSWER_LIMIT = Duration.ofSeconds(5);
  private static final long END_LIMIT_SECONDS = 20;

  private final Process process;
  private final Path rpcSocket;

  private Trial(final Process process, final Path rpcSocket) {
    this.process = process;
    this.rpcSocket = rpcSocket;
  }

  /**
   * Starts it.
   *
   * @param arguments of this process; slaves are left in any case
   * @throws IOException when there is no such program
   */
  static Trial start(
      final Replacement replacement, final List<String> arguments, final Path runDirectory)
      throws IOException {
    final List<String> command = new ArrayList<>(replacement.command());
    command.addAll(arguments);
    if (!arguments.contains(LEAVE)) {
      command.add(LEAVE);
    }
    final ProcessBuilder builder =
        new ProcessBuilder(command)
            .redirectInput(new File("/dev/null"))
            .redirectOutput(ProcessBuilder.Redirect.INHERIT)
            .redirectError(ProcessBuilder.Redirect.INHERIT);
    builder.environment().clear();
    builder.environment().putAll(ServiceManager.without(System.getenv(), true));
    LOG.info("trying the master of the other build");
    return new Trial(builder.start(), runDirectory.resolve("rpc.sock"));
  }

  /** Why it must not become the master; empty when it may. It has ended then, in any case. */
  String failure(final long limitNs) throws InterruptedException {
    final long deadlineNs = System.nanoTime() + limitNs;
    try {
      while (!answers()) {
        if (process.waitFor(POLL_MS, TimeUnit.MILLISECONDS)) {
          return "its master ended with exit code " + process.exitValue();
        }
        if (System.nanoTime() - deadlineNs > 0) {
          return "its master did not answer in " + limitNs / 1_000_000 + " ms";
        }
      }
      process.destroy();
      if (!process.waitFor(END_LIMIT_SECONDS, TimeUnit.SECONDS)) {
        return "its master does not end when it is told to";
      }
      return "";
    } finally {
      process.destroyForcibly();
      process.waitFor();
    }
  }

  private boolean answers() {
    try (RpcClient client = RpcClient.connect(rpcSocket, ANSWER_LIMIT)) {
      final JsonNode status = client.call("virtnvme_get_status", null);
      return status.path("master").path("pid").asLong() == process.pid();
    } catch (final IOException | RpcException e) {
      return false;
    }
  }

  /** Ends it at once. */
  void end() {
    process.destroyForcibly();
  }
}

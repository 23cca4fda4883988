package io.virtnvme.tools;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.SerializationFeature;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import io.virtnvme.master.rpc.RpcClient;
import io.virtnvme.master.rpc.RpcException;
import java.io.IOException;
import java.io.PrintWriter;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import java.util.concurrent.Callable;
import java.util.concurrent.TimeUnit;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.ParameterException;
import picocli.CommandLine.Spec;

/** {@code virtnvme upgrade}: what runs goes on in another build. */
@Command(
    name = "upgrade",
    mixinStandardHelpOptions = true,
    description = {
      "Move a running pair to another build, while guests do I/O.",
      "Standbys of the other build start and check themselves; when they fit, slave after slave"
          + " hands over to one of them, and then the master's process goes on as the other build.",
      "What fails is rolled back."
    },
    footer = {"", "Exit codes: 0 everything runs on the other build, 1 it does not, 2 usage."})
final class UpgradeCommand implements Callable<Integer> {
  private static final ObjectMapper JSON =
      new ObjectMapper().enable(SerializationFeature.INDENT_OUTPUT);
  private static final int SECONDS_MAX = 3600;
  private static final int GRACE_SECONDS = 60;
  private static final long POLL_MS = 50;
  private static final Duration STATUS_LIMIT = Duration.ofSeconds(5);

  /** Every slave may have to wait for a standby, forwards and back again. */
  private static final Duration ANSWER_LIMIT = Duration.ofHours(2);

  @Spec private CommandSpec spec;
  @Mixin private RunDirectory runDirectory;

  @Option(
      names = "--to",
      paramLabel = "PATH",
      required = true,
      description = "Folder of the other installation: the one with its 'virtnvme'.")
  private Path to;

  @Option(
      names = "--warm-limit",
      paramLabel = "SECONDS",
      defaultValue = "60",
      description =
          "A standby of the other build must be ready by then (default: ${DEFAULT-VALUE}).")
  private int warmLimitSeconds;

  @Option(
      names = "--drain-limit-ms",
      paramLabel = "MS",
      defaultValue = "1000",
      description =
          "A slave that has not finished what runs by then is killed (default: ${DEFAULT-VALUE}).")
  private int drainLimitMs;

  @Option(
      names = "--master-limit",
      paramLabel = "SECONDS",
      defaultValue = "30",
      description = "A master of the other build must answer by then (default: ${DEFAULT-VALUE}).")
  private int masterLimitSeconds;

  @Option(names = "--slaves-only", description = "Leave the master as it is.")
  private boolean slavesOnly;

  @Option(names = "--json", description = "Print the result as JSON.")
  private boolean json;

  @Override
  public Integer call() throws IOException, InterruptedException {
    if (warmLimitSeconds < 1
        || warmLimitSeconds > SECONDS_MAX
        || masterLimitSeconds < 1
        || masterLimitSeconds > SECONDS_MAX
        || drainLimitMs < 1
        || drainLimitMs > SECONDS_MAX * 1000) {
      throw new ParameterException(
          spec.commandLine(), "a limit is out of range: 1 ms or 1 s to 1 hour");
    }
    final OtherBuild build = OtherBuild.at(to);
    final JsonNode before = status();
    if (before == null) {
      throw new CommandFailedException(
          "no master answers at " + runDirectory.rpcSocket() + "; is it running?");
    }
    final ObjectNode result = upgradeSlaves(build.slaveCommand());
    if (!slavesOnly) {
      final String failure = upgradeMaster(build, before.path("master"));
      if (!failure.isEmpty()) {
        throw new CommandFailedException(
            "the master was not upgraded: " + failure + "; " + comeBack());
      }
      result.put("master", build.version());
    }
    print(result);
    return 0;
  }

  private ObjectNode upgradeSlaves(final List<String> command) throws IOException {
    try (RpcClient client = runDirectory.connect(ANSWER_LIMIT)) {
      return (ObjectNode) client.call("virtnvme_upgrade_slaves", parameters(command));
    }
  }

  /** The status of whichever master answers, or null. */
  private JsonNode status() {
    try (RpcClient client = runDirectory.connect(STATUS_LIMIT)) {
      return client.call("virtnvme_get_status", null);
    } catch (final IOException e) {
      return null;
    }
  }

  /**
   * Lets the process of the master go on as the other build; why it did not, or empty. A master
   * that tries the other build answers under another process id meanwhile.
   */
  private String upgradeMaster(final OtherBuild build, final JsonNode before)
      throws InterruptedException {
    final ObjectNode parameters = JSON.createObjectNode();
    build.command().forEach(parameters.putArray("command")::add);
    final ArrayNode formats = parameters.putArray("formats");
    for (final Map.Entry<String, JsonNode> format : build.formats().properties()) {
      formats.add(format.getKey() + " " + format.getValue().asText());
    }
    parameters.put("limit_ms", masterLimitSeconds * 1000);
    final String refusal = startMasterUpgrade(parameters);
    return refusal.isEmpty() ? awaitOtherMaster(before) : refusal;
  }

  /**
   * Why the master refuses; empty when it agrees, and also when it hangs up or is not there: it may
   * be between two processes already, and who answers next tells what became of it.
   */
  private String startMasterUpgrade(final ObjectNode parameters) {
    try (RpcClient client = runDirectory.connect(STATUS_LIMIT)) {
      client.call("virtnvme_upgrade_master", parameters);
      return "";
    } catch (final RpcException e) {
      return e.getMessage();
    } catch (final IOException e) {
      return "";
    }
  }

  /** Looks, for a bounded time, until a master answers that started anew; its failure, or empty. */
  private String awaitOtherMaster(final JsonNode before) throws InterruptedException {
    final long limitNs = TimeUnit.SECONDS.toNanos(2L * masterLimitSeconds + GRACE_SECONDS);
    final long startNs = System.nanoTime();
    while (System.nanoTime() - startNs < limitNs) {
      final JsonNode status = status();
      final JsonNode master = status == null ? null : status.path("master");
      if (master != null
          && master.path("pid").equals(before.path("pid"))
          && !master.path("started_at_ms").equals(before.path("started_at_ms"))) {
        return master.path("upgrade_failure").asText();
      }
      Thread.sleep(POLL_MS);
    }
    return "no master answers any more; start one with 'virtnvme up', the guests go on meanwhile";
  }

  /** The master is the one from before, so its slaves are to be, too. */
  private String comeBack() {
    try {
      return "everything is as before, the slaves run build "
          + upgradeSlaves(List.of()).path("build").asText();
    } catch (final IOException | RpcException e) {
      return "and the slaves could not be brought back: " + e.getMessage();
    }
  }

  private ObjectNode parameters(final List<String> command) {
    final ObjectNode parameters = JSON.createObjectNode();
    if (!command.isEmpty()) {
      command.forEach(parameters.putArray("command")::add);
    }
    return parameters
        .put("warm_limit_ms", warmLimitSeconds * 1000)
        .put("drain_limit_ms", drainLimitMs);
  }

  private void print(final JsonNode moved) throws IOException {
    final PrintWriter out = spec.commandLine().getOut();
    if (json) {
      out.println(JSON.writeValueAsString(moved));
    } else {
      for (final JsonNode move : moved.path("moves")) {
        out.printf(
            "seats %s: process %d -> %d, %s, %.1f ms%n",
            move.path("seats"),
            move.path("from_pid").asInt(),
            move.path("to_pid").asInt(),
            move.path("drained").asBoolean() ? "handed over" : "killed",
            move.path("took_us").asLong() / 1000.0);
      }
      out.println("the slaves run build " + moved.path("build").asText());
      if (moved.has("master")) {
        out.println("the master runs build " + moved.path("master").asText());
      }
    }
    out.flush();
  }
}

package io.virtnvme.tools;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.SerializationFeature;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import io.virtnvme.master.rpc.RpcClient;
import java.io.IOException;
import java.io.PrintWriter;
import java.nio.file.Path;
import java.time.Duration;
import java.util.concurrent.Callable;
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
          + " hands over to one of them. What fails is rolled back."
    },
    footer = {"", "Exit codes: 0 everything runs on the other build, 1 it does not, 2 usage."})
final class UpgradeCommand implements Callable<Integer> {
  private static final ObjectMapper JSON =
      new ObjectMapper().enable(SerializationFeature.INDENT_OUTPUT);
  private static final int SECONDS_MAX = 3600;

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

  @Option(names = "--json", description = "Print the result as JSON.")
  private boolean json;

  @Override
  public Integer call() throws IOException, InterruptedException {
    if (warmLimitSeconds < 1
        || warmLimitSeconds > SECONDS_MAX
        || drainLimitMs < 1
        || drainLimitMs > SECONDS_MAX * 1000) {
      throw new ParameterException(
          spec.commandLine(), "a limit is out of range: 1 ms or 1 s to 1 hour");
    }
    final OtherBuild build = OtherBuild.at(to);
    try (RpcClient client = runDirectory.connect(ANSWER_LIMIT)) {
      final JsonNode moved = client.call("virtnvme_upgrade_slaves", parameters(build));
      print(moved);
    }
    return 0;
  }

  private ObjectNode parameters(final OtherBuild build) {
    final ObjectNode parameters = JSON.createObjectNode();
    final ArrayNode command = parameters.putArray("command");
    build.slaveCommand().forEach(command::add);
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
    }
    out.flush();
  }
}

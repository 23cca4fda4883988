package io.virtnvme.tools;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.SerializationFeature;
import io.virtnvme.master.rpc.RpcClient;
import java.io.IOException;
import java.io.PrintWriter;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.concurrent.Callable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.ParameterException;
import picocli.CommandLine.Parameters;
import picocli.CommandLine.Spec;

/** {@code virtnvme rpc METHOD [JSON]}. */
@Command(
    name = "rpc",
    mixinStandardHelpOptions = true,
    description = "Call a JSON-RPC method of a running pair and print its result.",
    footer = {
      "",
      "Examples:",
      "  virtnvme rpc rpc_get_methods",
      "  virtnvme rpc bdev_malloc_create '{\"name\":\"m0\",\"num_blocks\":262144,\"block_size\":4096}'",
      "  virtnvme rpc load_config - < pair.json"
    })
final class RpcCommand implements Callable<Integer> {
  private static final ObjectMapper JSON =
      new ObjectMapper().enable(SerializationFeature.INDENT_OUTPUT);

  @Spec private CommandSpec spec;
  @Mixin private RunDirectory runDirectory;

  @Option(
      names = "--timeout",
      paramLabel = "SECONDS",
      defaultValue = "60",
      description = "Limit for the answer (default: ${DEFAULT-VALUE}).")
  private int timeoutSeconds;

  @Parameters(index = "0", paramLabel = "METHOD", description = "Name of the method.")
  private String method;

  @Parameters(
      index = "1",
      arity = "0..1",
      paramLabel = "JSON",
      description = "Parameters as a JSON object; '-' reads them from standard input.")
  private String parameters;

  @Override
  public Integer call() throws IOException {
    if (timeoutSeconds < 1) {
      throw new ParameterException(
          spec.commandLine(), "--timeout must be at least 1: " + timeoutSeconds);
    }
    final JsonNode given = parse();
    try (RpcClient client = runDirectory.connect(Duration.ofSeconds(timeoutSeconds))) {
      final JsonNode result = client.call(method, given);
      final PrintWriter out = spec.commandLine().getOut();
      out.println(JSON.writeValueAsString(result));
      out.flush();
    }
    return 0;
  }

  private JsonNode parse() throws IOException {
    if (parameters == null) {
      return null;
    }
    final String text =
        parameters.equals("-")
            ? new String(System.in.readAllBytes(), StandardCharsets.UTF_8)
            : parameters;
    try {
      return JSON.readTree(text);
    } catch (final JsonProcessingException e) {
      throw new ParameterException(
          spec.commandLine(), "the parameters are no JSON: " + e.getOriginalMessage(), e);
    }
  }
}

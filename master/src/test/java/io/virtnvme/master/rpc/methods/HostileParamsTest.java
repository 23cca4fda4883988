package io.virtnvme.master.rpc.methods;

import static org.junit.jupiter.api.Assertions.assertTrue;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.JsonNodeFactory;
import com.fasterxml.jackson.databind.node.ObjectNode;
import io.virtnvme.master.registry.DesiredState;
import io.virtnvme.master.rpc.JsonText;
import io.virtnvme.master.rpc.RpcException;
import io.virtnvme.master.rpc.RpcMethods;
import java.util.List;
import java.util.Random;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionException;
import net.jqwik.api.ForAll;
import net.jqwik.api.Property;

/**
 * Whatever a caller sends, a method answers with a result or with an error meant for the caller.
 */
final class HostileParamsTest {
  private static final List<String> NAMES =
      List.of(
          "name",
          "names",
          "block_size",
          "num_blocks",
          "rw_ios_per_sec",
          "r_mbytes_per_sec",
          "uuid",
          "filename",
          "readonly",
          "ctrlr",
          "dev_name",
          "cpumask",
          "packed_ring",
          "num_queues",
          "transport",
          "new_size",
          "per_channel",
          "reset_mode",
          "seat",
          "max",
          "with_batches",
          "current",
          "md_size",
          "numa_id");
  private static final List<String> VALUES =
      List.of(
          "0",
          "1",
          "-1",
          "512",
          "4096.0",
          "1e3",
          "1e-400",
          "1e999999999",
          "9223372036854775807",
          "9223372036854775808",
          "-99999999999999999999999999",
          "0.5",
          "true",
          "false",
          "null",
          "\"\"",
          "\"a\"",
          "\"b\"",
          "\"/f\"",
          "\"0x3\"",
          "\"[0-1023]\"",
          "\"[0-\"",
          "\"none\"",
          "\"bdev\"",
          "\"a/b\"",
          "\"\\u0000\"",
          "\"6f9619ff-8b86-d011-b42d-00c04fc964ff\"",
          "[]",
          "[1]",
          "[\"a\"]",
          "{}",
          "{\"a\":[]}");

  private final DesiredState recorded = new DesiredState();
  private final RpcMethods methods = new RpcMethods("0.1.0");
  private final List<String> methodNames;

  HostileParamsTest() {
    final FakeControlPlane controlPlane = new FakeControlPlane();
    final ChangeLog changes =
        (method, params) -> {
          // What goes into the registry must be fit to come out again.
          recorded.apply(method, JsonText.parse(JsonText.line(params)));
          return CompletableFuture.completedFuture(null);
        };
    new BdevMethods(controlPlane, changes).register(methods);
    new VhostMethods(controlPlane, changes).register(methods);
    new FrameworkMethods(controlPlane).register(methods);
    new VirtnvmeMethods(controlPlane, count -> CompletableFuture.completedFuture(List.of()))
        .register(methods);
    final JsonNode names = methods.call("rpc_get_methods", null).toCompletableFuture().join();
    methodNames = new java.util.ArrayList<>();
    names.forEach(name -> methodNames.add(name.asText()));
  }

  private static JsonNode params(final Random random) {
    if (random.nextInt(20) == 0) {
      final ArrayNode array = JsonNodeFactory.instance.arrayNode();
      return random.nextBoolean() ? array : array.add(1);
    }
    final ObjectNode params = JsonNodeFactory.instance.objectNode();
    final int count = random.nextInt(6);
    for (int i = 0; i < count; i++) {
      params.set(
          NAMES.get(random.nextInt(NAMES.size())),
          JsonText.parse(VALUES.get(random.nextInt(VALUES.size()))));
    }
    return params;
  }

  @Property(tries = 300)
  void shouldAnswerAnythingWithAResultOrAnErrorForTheCaller(@ForAll final long seed) {
    final Random random = new Random(seed);
    for (final String method : methodNames) {
      final JsonNode params = params(random);
      try {
        final JsonNode result = methods.call(method, params).toCompletableFuture().join();
        assertTrue(!JsonText.line(result).isEmpty());
      } catch (final CompletionException e) {
        assertTrue(
            e.getCause() instanceof RpcException failure
                && failure.code() != RpcException.INTERNAL_ERROR
                && !failure.getMessage().isEmpty(),
            () -> method + " " + JsonText.line(params) + " seed " + seed + ": " + e.getCause());
      }
    }
  }
}

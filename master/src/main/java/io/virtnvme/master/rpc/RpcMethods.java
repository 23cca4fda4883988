package io.virtnvme.master.rpc;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.JsonNodeFactory;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionStage;

/**
 * The methods that a server offers, by name. Filled before the server starts, read-only afterwards;
 * {@code rpc_get_methods} and {@code spdk_get_version} are built in.
 */
public final class RpcMethods {
  private record Method(
      String name, List<String> parameters, RpcHandler handler, boolean alias, boolean callable) {}

  private final Map<String, Method> methods = new LinkedHashMap<>();

  /**
   * Starts with the built-in methods.
   *
   * @param version of this build as {@code major.minor.patch[-suffix]}, for {@code
   *     spdk_get_version}
   */
  public RpcMethods(final String version) {
    add("rpc_get_methods", List.of("current", "include_aliases"), this::getMethods);
    add("spdk_get_version", List.of(), params -> answer(versionAnswer(version)));
  }

  /** A result that is there already. */
  public static CompletionStage<JsonNode> answer(final JsonNode result) {
    return CompletableFuture.completedFuture(result);
  }

  /**
   * Adds a method.
   *
   * @param parameters the names that it takes; others are refused before the handler is called
   */
  public void add(final String name, final List<String> parameters, final RpcHandler handler) {
    put(new Method(name, List.copyOf(parameters), handler, false, true));
  }

  /** Adds a second name for a method; it is listed only on request. */
  public void alias(final String alias, final String name) {
    final Method method = methods.get(name);
    if (method == null) {
      throw new IllegalStateException("alias of a method that is not there: " + name);
    }
    put(new Method(alias, method.parameters, method.handler, true, true));
  }

  /**
   * Adds a method of SPDK that is known but never callable, because SPDK allows it only before its
   * start-up ends and it sets something that does not exist here. Listed unless the caller asks for
   * the methods callable now, so that {@code load_config} steps over it.
   *
   * @param reason sentence for whoever calls it anyway
   */
  public void addStartupOnly(final String name, final String reason) {
    put(
        new Method(
            name,
            List.of(),
            params -> {
              throw new RpcException(RpcException.INVALID_STATE, reason);
            },
            false,
            false));
  }

  private void put(final Method method) {
    if (methods.putIfAbsent(method.name, method) != null) {
      throw new IllegalStateException("method registered twice: " + method.name);
    }
  }

  /** Whether a method of this name can be called. */
  public boolean isCallable(final String name) {
    final Method method = methods.get(name);
    return method != null && method.callable;
  }

  /** Whether a method of this name is known, callable or not. */
  public boolean isKnown(final String name) {
    return methods.containsKey(name);
  }

  /**
   * Calls a method on the calling thread.
   *
   * @param params an object, or null for none
   * @return never null; every failure, also of the handler itself, comes through the stage
   */
  public CompletionStage<JsonNode> call(final String name, final JsonNode params) {
    final Method method = methods.get(name);
    if (method == null) {
      return CompletableFuture.failedFuture(
          new RpcException(
              RpcException.METHOD_NOT_FOUND,
              "Method not found: '" + name + "'; rpc_get_methods lists what there is"));
    }
    try {
      final JsonNode given = method.callable ? params : null;
      final CompletionStage<JsonNode> stage =
          method.handler.handle(RpcParams.of(name, given, method.parameters));
      return stage == null
          ? CompletableFuture.failedFuture(new IllegalStateException(name + " gave no stage"))
          : stage;
    } catch (final RuntimeException | StackOverflowError e) {
      return CompletableFuture.failedFuture(e);
    }
  }

  private CompletionStage<JsonNode> getMethods(final RpcParams params) {
    final boolean current = params.optionalBoolean("current", false);
    final boolean includeAliases = params.optionalBoolean("include_aliases", false);
    final ArrayNode names = JsonNodeFactory.instance.arrayNode();
    for (final Method method : methods.values()) {
      if ((method.callable || !current) && (!method.alias || includeAliases)) {
        names.add(method.name);
      }
    }
    return answer(names);
  }

  private static JsonNode versionAnswer(final String version) {
    final int dash = version.indexOf('-');
    final String numbers = dash < 0 ? version : version.substring(0, dash);
    final String[] parts = numbers.split("\\.", -1);
    final ObjectNode answer = JsonNodeFactory.instance.objectNode();
    answer.put("version", "virtnvme v" + version);
    final ObjectNode fields = answer.putObject("fields");
    final List<String> names = List.of("major", "minor", "patch");
    for (int i = 0; i < names.size(); i++) {
      fields.put(names.get(i), i < parts.length ? Integer.parseInt(parts[i]) : 0);
    }
    fields.put("suffix", dash < 0 ? "" : version.substring(dash));
    return answer;
  }
}

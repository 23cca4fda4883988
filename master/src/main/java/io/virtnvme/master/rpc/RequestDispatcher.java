package io.virtnvme.master.rpc;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.JsonNodeFactory;
import com.fasterxml.jackson.databind.node.NullNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.util.Map;
import java.util.concurrent.CompletionException;
import java.util.concurrent.CompletionStage;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.AtomicLong;
import java.util.concurrent.atomic.AtomicReferenceArray;
import java.util.function.Consumer;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Turns a JSON value into calls and their outcome into an answer, as JSON-RPC 2.0 and SPDK do:
 * {@code jsonrpc} may be missing, a batch is answered by an array, a request without an id (or with
 * a null id) is carried out and answered only if it fails. Called on the RPC thread; answers come
 * on whichever thread ends the call.
 */
final class RequestDispatcher {
  private static final Logger LOG = LoggerFactory.getLogger(RequestDispatcher.class);

  private final RpcMethods methods;
  private final AtomicLong requests = new AtomicLong();
  private final AtomicLong errors = new AtomicLong();
  private final AtomicLong internalErrors = new AtomicLong();

  RequestDispatcher(final RpcMethods methods) {
    this.methods = methods;
  }

  long requests() {
    return requests.get();
  }

  long errors() {
    return errors.get();
  }

  long internalErrors() {
    return internalErrors.get();
  }

  /**
   * Carries out one value from the stream.
   *
   * @param repeatedName a member name that occurs twice in one object, or null
   * @param reply called exactly once, with null when nothing is to be sent
   */
  void dispatch(final JsonNode value, final String repeatedName, final Consumer<JsonNode> reply) {
    if (repeatedName != null) {
      reply.accept(
          invalidRequest(null, "'" + repeatedName + "' occurs twice in one object of the request"));
    } else if (value instanceof ArrayNode batch) {
      dispatchBatch(batch, reply);
    } else {
      dispatchOne(value, reply);
    }
  }

  /** The answer to bytes that are no JSON. */
  JsonNode parseError(final String detail) {
    return error(null, new RpcException(RpcException.PARSE_ERROR, "Parse error: " + detail));
  }

  private void dispatchBatch(final ArrayNode batch, final Consumer<JsonNode> reply) {
    final int count = batch.size();
    if (count == 0) {
      reply.accept(invalidRequest(null, "the batch is empty"));
      return;
    }
    final AtomicReferenceArray<JsonNode> answers = new AtomicReferenceArray<>(count);
    final AtomicInteger missing = new AtomicInteger(count);
    for (int i = 0; i < count; i++) {
      final int index = i;
      dispatchOne(
          batch.get(i),
          answer -> {
            answers.set(index, answer);
            if (missing.decrementAndGet() == 0) {
              reply.accept(joined(answers));
            }
          });
    }
  }

  private static JsonNode joined(final AtomicReferenceArray<JsonNode> answers) {
    final ArrayNode array = JsonNodeFactory.instance.arrayNode();
    for (int i = 0; i < answers.length(); i++) {
      if (answers.get(i) != null) {
        array.add(answers.get(i));
      }
    }
    return array.isEmpty() ? null : array;
  }

  private void dispatchOne(final JsonNode value, final Consumer<JsonNode> reply) {
    requests.incrementAndGet();
    if (!(value instanceof ObjectNode request)) {
      reply.accept(invalidRequest(null, "a request is a JSON object"));
      return;
    }
    final JsonNode givenId = request.get("id");
    final boolean idWellFormed =
        givenId == null || givenId.isTextual() || givenId.isNumber() || givenId.isNull();
    final JsonNode id = idWellFormed ? givenId : null;
    final String fault = idWellFormed ? fault(request) : "\"id\" must be a string or a number";
    if (fault != null) {
      reply.accept(invalidRequest(id, fault));
      return;
    }
    final String method = request.get("method").textValue();
    final CompletionStage<JsonNode> stage = methods.call(method, request.get("params"));
    stage.whenComplete((result, failure) -> reply.accept(answer(method, id, result, failure)));
  }

  private static String fault(final ObjectNode request) {
    for (final Map.Entry<String, JsonNode> member : request.properties()) {
      final JsonNode value = member.getValue();
      switch (member.getKey()) {
        case "jsonrpc" -> {
          if (!"2.0".equals(value.textValue())) {
            return "\"jsonrpc\" must be \"2.0\"";
          }
        }
        case "method" -> {
          if (!value.isTextual()) {
            return "\"method\" must be a string";
          }
        }
        case "params" -> {
          if (!value.isContainerNode() && !value.isNull()) {
            return "\"params\" must be an object";
          }
        }
        case "id" -> {}
        default -> {
          return "a request has jsonrpc, method, params and id, nothing else";
        }
      }
    }
    return request.has("method") ? null : "\"method\" is missing";
  }

  private JsonNode answer(
      final String method, final JsonNode id, final JsonNode result, final Throwable failure) {
    if (failure == null) {
      if (id == null || id.isNull()) {
        return null;
      }
      final ObjectNode answer = begin(id);
      answer.set("result", result == null ? NullNode.getInstance() : result);
      return answer;
    }
    Throwable cause = failure;
    while (cause instanceof CompletionException && cause.getCause() != null) {
      cause = cause.getCause();
    }
    if (cause instanceof RpcException expected) {
      return error(id, expected);
    }
    internalErrors.incrementAndGet();
    LOG.error("internal error in RPC method {}", method, cause);
    return error(
        id,
        new RpcException(
            RpcException.INTERNAL_ERROR,
            "internal error in " + method + ": " + cause + "; the master's log has the details"));
  }

  private JsonNode invalidRequest(final JsonNode id, final String detail) {
    return error(id, new RpcException(RpcException.INVALID_REQUEST, "Invalid request: " + detail));
  }

  private JsonNode error(final JsonNode id, final RpcException failure) {
    errors.incrementAndGet();
    final ObjectNode answer = begin(id);
    final ObjectNode error = answer.putObject("error");
    error.put("code", failure.code());
    error.put("message", Errno.describe(failure.code(), failure.getMessage()));
    return answer;
  }

  private static ObjectNode begin(final JsonNode id) {
    final ObjectNode answer = JsonNodeFactory.instance.objectNode();
    answer.put("jsonrpc", "2.0");
    answer.set("id", id == null ? NullNode.getInstance() : id);
    return answer;
  }
}

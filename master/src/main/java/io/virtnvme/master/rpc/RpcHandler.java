package io.virtnvme.master.rpc;

import com.fasterxml.jackson.databind.JsonNode;
import java.util.concurrent.CompletionStage;

/** Answers one RPC method. Called on the RPC thread, which it must not block. */
@FunctionalInterface
public interface RpcHandler {
  /**
   * Starts the call.
   *
   * @param params the caller's parameters, unknown names already refused
   * @return the result, now or later and from any thread; fails with {@link RpcException} for an
   *     answer to the caller, with anything else for a fault of ours
   */
  CompletionStage<JsonNode> handle(RpcParams params);
}

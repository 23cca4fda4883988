package io.virtnvme.master.rpc.methods;

import io.virtnvme.master.rpc.RpcException;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionException;
import java.util.concurrent.CompletionStage;
import java.util.function.UnaryOperator;

/** Changes the way a stage fails. */
final class Failures {
  private Failures() {}

  /** The same stage, with an {@link RpcException} replaced; other failures stay. */
  static <T> CompletionStage<T> map(
      final CompletionStage<T> stage, final UnaryOperator<RpcException> change) {
    final CompletableFuture<T> mapped = new CompletableFuture<>();
    stage.whenComplete(
        (value, failure) -> {
          final Throwable cause =
              failure instanceof CompletionException && failure.getCause() != null
                  ? failure.getCause()
                  : failure;
          if (cause == null) {
            mapped.complete(value);
          } else if (cause instanceof RpcException expected) {
            mapped.completeExceptionally(change.apply(expected));
          } else {
            mapped.completeExceptionally(cause);
          }
        });
    return mapped;
  }
}

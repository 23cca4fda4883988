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
    return stage.exceptionallyCompose(
        failure -> {
          final Throwable cause = cause(failure);
          return CompletableFuture.failedFuture(
              cause instanceof RpcException expected ? change.apply(expected) : cause);
        });
  }

  /** The failure without the wrapping that dependent stages add. */
  static Throwable cause(final Throwable failure) {
    return failure instanceof CompletionException && failure.getCause() != null
        ? failure.getCause()
        : failure;
  }
}

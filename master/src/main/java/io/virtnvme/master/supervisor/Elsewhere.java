package io.virtnvme.master.supervisor;

import io.virtnvme.master.relay.EventLoop;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionException;
import java.util.concurrent.CompletionStage;
import java.util.concurrent.Executor;
import java.util.concurrent.RejectedExecutionException;
import java.util.function.Supplier;

/** Work that may take long, away from the conductor. */
final class Elsewhere {
  /** Carries an outcome over to the conductor, so that what depends on it runs there. */
  private record Result<T>(T value, Throwable failure) {
    static <T> Result<T> of(final T value, final Throwable failure) {
      return new Result<>(value, failure);
    }

    CompletableFuture<T> stage() {
      return failure == null
          ? CompletableFuture.completedFuture(value)
          : CompletableFuture.failedFuture(cause(failure));
    }
  }

  private Elsewhere() {}

  /** Does the work on another thread; completes on the conductor. */
  static <T> CompletableFuture<T> run(
      final Executor where, final EventLoop loop, final Supplier<T> work) {
    try {
      return CompletableFuture.supplyAsync(work, where)
          .handleAsync(Result::of, loop::execute)
          .thenCompose(Result::stage);
    } catch (final RejectedExecutionException e) {
      return CompletableFuture.failedFuture(e);
    }
  }

  /**
   * Ends {@code enough}, and the timer that would, when all of this has ended, well or not. Returns
   * {@code enough}.
   */
  static CompletableFuture<Void> within(
      final List<CompletableFuture<Void>> all,
      final CompletableFuture<Void> enough,
      final EventLoop.Timer timer) {
    final CompletionStage<Void> done =
        CompletableFuture.allOf(all.toArray(new CompletableFuture<?>[0]));
    done.whenComplete(
        (nothing, failure) -> {
          timer.cancel();
          enough.complete(null);
        });
    return enough;
  }

  /** A failure without the wrapping that dependent stages add. */
  static Throwable cause(final Throwable failure) {
    return failure instanceof CompletionException && failure.getCause() != null
        ? failure.getCause()
        : failure;
  }
}

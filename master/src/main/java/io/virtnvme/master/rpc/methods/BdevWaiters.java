package io.virtnvme.master.rpc.methods;

import io.virtnvme.master.rpc.BdevInfo;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionStage;
import java.util.concurrent.TimeUnit;
import java.util.function.Function;

/** Callers of {@code bdev_get_bdevs} that wait for a bdev to appear. Thread-safe. */
final class BdevWaiters {
  private record Waiter(String name, CompletableFuture<BdevInfo> found) {}

  private final Function<String, BdevInfo> finder;
  private final List<Waiter> waiters = new ArrayList<>();

  BdevWaiters(final Function<String, BdevInfo> finder) {
    this.finder = finder;
  }

  /** The bdev as soon as it is there; null after the timeout. */
  CompletionStage<BdevInfo> await(final String name, final long timeoutMs) {
    final Waiter waiter = new Waiter(name, new CompletableFuture<>());
    synchronized (waiters) {
      waiters.add(waiter);
    }
    // Looked up after the entry, so that a bdev made meanwhile is not missed.
    final BdevInfo present = finder.apply(name);
    if (present != null) {
      waiter.found.complete(present);
    }
    return waiter
        .found
        .completeOnTimeout(null, timeoutMs, TimeUnit.MILLISECONDS)
        .whenComplete((found, failure) -> remove(waiter));
  }

  /** A bdev is there. */
  void onCreated(final BdevInfo bdev) {
    final List<Waiter> woken = new ArrayList<>();
    synchronized (waiters) {
      for (final Waiter waiter : waiters) {
        if (waiter.name.equals(bdev.spec().name())
            || waiter.name.equalsIgnoreCase(bdev.spec().uuid().toString())) {
          woken.add(waiter);
        }
      }
    }
    woken.forEach(waiter -> waiter.found.complete(bdev));
  }

  private void remove(final Waiter waiter) {
    synchronized (waiters) {
      waiters.remove(waiter);
    }
  }
}

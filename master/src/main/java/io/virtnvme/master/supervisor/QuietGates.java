package io.virtnvme.master.supervisor;

import io.virtnvme.ipc.nvme.queue.DeviceQueueSegment;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionStage;
import java.util.function.Supplier;

/**
 * Finds out that no slave is beyond the shut gates of a device. A reactor that drives a queue pair
 * says so in its segment; where none does, every slave is asked whether it has polled since.
 * Conductor thread.
 */
final class QuietGates {
  private static final long NEVER = -1;

  private final List<DeviceCare.Pair> pairs;
  private final Supplier<CompletableFuture<Void>> cycles;
  private final Runnable onAnswer;

  /** The shut gate that no slave was beyond any more. */
  private final Map<DeviceQueueSegment, Long> quiet = new HashMap<>();

  private boolean isAsking;

  /**
   * Nothing is known yet.
   *
   * @param pairs the caller's: they come and go
   * @param cycles completes when every slave that lives has polled since it was called
   * @param onAnswer called when more may be known
   */
  QuietGates(
      final List<DeviceCare.Pair> pairs,
      final Supplier<CompletableFuture<Void>> cycles,
      final Runnable onAnswer) {
    this.pairs = pairs;
    this.cycles = cycles;
    this.onAnswer = onAnswer;
  }

  /** Whether a slave may be beyond the gate of a queue; asks them, if that is not known. */
  boolean mayBeBeyond(final DeviceQueueSegment queue) {
    final long gate = queue.gate();
    if (DeviceQueueSegment.isOpen(gate)) {
      return true;
    }
    if (quiet.getOrDefault(queue, NEVER) != gate && !isAsking) {
      ask();
    }
    return quiet.getOrDefault(queue, NEVER) != gate;
  }

  /** A queue is no more. */
  void forget(final DeviceQueueSegment queue) {
    quiet.remove(queue);
  }

  private void ask() {
    isAsking = true;
    // Read before anybody is asked: who polls after that has found these gates, or later ones.
    final Map<DeviceQueueSegment, Long> gates = new HashMap<>();
    pairs.forEach(pair -> gates.put(pair.queue(), pair.queue().gate()));
    final CompletionStage<Void> answer = cycles.get();
    answer.whenComplete(
        (done, failure) -> {
          isAsking = false;
          if (failure == null) {
            onQuiet(gates);
          }
          onAnswer.run();
        });
  }

  private void onQuiet(final Map<DeviceQueueSegment, Long> gates) {
    for (final DeviceCare.Pair pair : pairs) {
      final Long gate = gates.get(pair.queue());
      if (gate != null && !DeviceQueueSegment.isOpen(gate)) {
        quiet.put(pair.queue(), gate);
      }
    }
  }
}

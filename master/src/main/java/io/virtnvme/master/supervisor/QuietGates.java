package io.virtnvme.master.supervisor;

import io.virtnvme.ipc.nvme.queue.DeviceQueueSegment;
import java.util.Arrays;
import java.util.List;
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

  private final List<DeviceQueueSegment> queues;
  private final Supplier<CompletableFuture<Void>> cycles;
  private final Runnable onAnswer;

  /** By queue: the shut gate that no slave was beyond any more. */
  private final long[] quiet;

  private boolean isAsking;

  /**
   * Nothing is known yet.
   *
   * @param cycles completes when every slave that lives has polled since it was called
   * @param onAnswer called when more may be known
   */
  QuietGates(
      final List<DeviceQueueSegment> queues,
      final Supplier<CompletableFuture<Void>> cycles,
      final Runnable onAnswer) {
    this.queues = List.copyOf(queues);
    this.cycles = cycles;
    this.onAnswer = onAnswer;
    quiet = new long[queues.size()];
    Arrays.fill(quiet, NEVER);
  }

  /** Whether a slave may be beyond the gate of a queue; asks them, if that is not known. */
  boolean mayBeBeyond(final int index) {
    final long gate = queues.get(index).gate();
    if (DeviceQueueSegment.isOpen(gate)) {
      return true;
    }
    if (quiet[index] != gate && !isAsking) {
      ask();
    }
    return quiet[index] != gate;
  }

  private void ask() {
    isAsking = true;
    // Read before anybody is asked: who polls after that has found these gates, or later ones.
    final long[] gates = queues.stream().mapToLong(DeviceQueueSegment::gate).toArray();
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

  private void onQuiet(final long[] gates) {
    for (int i = 0; i < gates.length; i++) {
      if (!DeviceQueueSegment.isOpen(gates[i])) {
        quiet[i] = gates[i];
      }
    }
  }
}

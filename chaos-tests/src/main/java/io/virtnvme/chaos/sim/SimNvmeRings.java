package io.virtnvme.chaos.sim;

import io.virtnvme.ipc.memory.Mem;
import io.virtnvme.ipc.nvme.Doorbells;
import java.util.Arrays;
import java.util.function.Consumer;

/** The driver's queues, by id, and how it rings for them. The admin queues have id 0. */
final class SimNvmeRings {
  final SimNvmeQueues.Submission[] submissions =
      new SimNvmeQueues.Submission[SimNvmeMemory.QUEUE_COUNT_MAX + 1];
  final SimNvmeQueues.Completion[] completions =
      new SimNvmeQueues.Completion[SimNvmeMemory.QUEUE_COUNT_MAX + 1];

  private final SimNvmeMemory memory;
  private final boolean hasGenerations;
  private NvmeRegisters registers;
  private boolean isShadowed;

  SimNvmeRings(final SimNvmeMemory memory, final boolean hasGenerations) {
    this.memory = memory;
    this.hasGenerations = hasGenerations;
  }

  void registers(final NvmeRegisters port) {
    registers = port;
  }

  /** From now on the I/O queues have shadow doorbells. */
  void shadowed() {
    isShadowed = true;
  }

  void forget() {
    Arrays.fill(submissions, null);
    Arrays.fill(completions, null);
    isShadowed = false;
  }

  SimNvmeQueues.Completion newCompletion(final int id, final int entryCount) {
    clearShadow(Doorbells.cqHeadOffset(id));
    completions[id] =
        new SimNvmeQueues.Completion(
            id, entryCount, id, memory.host(SimNvmeMemory.completionAddress(id)));
    return completions[id];
  }

  void newSubmission(final int id, final int entryCount, final int completionId) {
    submissions[id] =
        new SimNvmeQueues.Submission(
            id,
            entryCount,
            memory.host(SimNvmeMemory.submissionAddress(id)),
            completions[completionId],
            hasGenerations);
  }

  /** The shadow doorbell of a submission queue that is to be made. */
  void clearShadowTail(final int id) {
    clearShadow(Doorbells.sqTailOffset(id));
  }

  private void clearShadow(final int offset) {
    if (isShadowed) {
      Mem.putIntRelease(memory.host(SimNvmeMemory.shadowDoorbells()) + offset, 0);
    }
  }

  /** Takes so many completions at most. */
  void reap(final SimNvmeQueues.Completion queue, final int limit) {
    int left = limit;
    while (left > 0 && queue.poll(id -> id < submissions.length ? submissions[id] : null)) {
      left--;
      if (left > 0 && limit == Integer.MAX_VALUE) {
        release(queue);
      }
    }
  }

  /** Takes all completions, and gives their entries back. */
  void reapAll(final SimNvmeQueues.Completion queue) {
    reap(queue, Integer.MAX_VALUE);
    release(queue);
  }

  void release(final SimNvmeQueues.Completion queue) {
    final int head = queue.release();
    if (head >= 0) {
      ring(queue.id, Doorbells.cqHeadOffset(queue.id), head);
    }
  }

  void ringTail(final SimNvmeQueues.Submission queue) {
    ring(queue.id, Doorbells.sqTailOffset(queue.id), queue.tail());
  }

  private void ring(final int queueId, final int offset, final int value) {
    if (isShadowed && queueId > 0) {
      Mem.putIntRelease(memory.host(SimNvmeMemory.shadowDoorbells()) + offset, value);
    } else {
      registers.ring(offset, value);
    }
  }

  /** The I/O commands that are outstanding in a queue; null has none. */
  static void forEachIo(
      final SimNvmeQueues.Submission queue, final Consumer<SimNvmeQueues.Outstanding> action) {
    if (queue != null) {
      for (final SimNvmeQueues.Outstanding command : queue.outstanding) {
        if (command != null && command.command != null) {
          action.accept(command);
        }
      }
    }
  }

  void forEachIo(final Consumer<SimNvmeQueues.Outstanding> action) {
    for (final SimNvmeQueues.Submission queue : submissions) {
      forEachIo(queue, action);
    }
  }

  boolean usesExtra() {
    final boolean[] found = new boolean[1];
    forEachIo(command -> found[0] |= SimNvmeMemory.isExtra(command.buffer));
    return found[0];
  }

  int inFlightCount() {
    int count = 0;
    for (final SimNvmeQueues.Submission queue : submissions) {
      count += queue == null ? 0 : queue.inFlightCount();
    }
    return count;
  }
}

package io.virtnvme.slave.nvme;

import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.function.Predicate;

/**
 * The queues that exist; immutable.
 *
 * @param completionQueues by id
 * @param submissionQueues by id; each one's completion queue exists
 * @param nextCreation number for the next queue: greater than that of every queue so far
 */
record QueueTable(
    List<CompletionQueue> completionQueues,
    List<SubmissionQueue> submissionQueues,
    long nextCreation) {
  static final QueueTable EMPTY = new QueueTable(List.of(), List.of(), 1);

  boolean isEmpty() {
    return completionQueues.isEmpty() && submissionQueues.isEmpty();
  }

  boolean hasIoQueues() {
    return completionQueues.stream().anyMatch(queue -> queue.queueId() != 0);
  }

  /** The completion queue, or null. */
  CompletionQueue completionQueue(final int queueId) {
    for (final CompletionQueue queue : completionQueues) {
      if (queue.queueId() == queueId) {
        return queue;
      }
    }
    return null;
  }

  /** The submission queue, or null. */
  SubmissionQueue submissionQueue(final int queueId) {
    for (final SubmissionQueue queue : submissionQueues) {
      if (queue.queueId() == queueId) {
        return queue;
      }
    }
    return null;
  }

  boolean isCompletionQueueUsed(final int queueId) {
    return submissionQueues.stream().anyMatch(queue -> queue.completionQueueId() == queueId);
  }

  QueueTable plus(final CompletionQueue queue) {
    return new QueueTable(
        sorted(completionQueues, queue, Comparator.comparingInt(CompletionQueue::queueId)),
        submissionQueues,
        nextCreation + 1);
  }

  QueueTable plus(final SubmissionQueue queue) {
    return new QueueTable(
        completionQueues,
        sorted(submissionQueues, queue, Comparator.comparingInt(SubmissionQueue::queueId)),
        nextCreation + 1);
  }

  QueueTable withoutCompletionQueue(final int queueId) {
    return new QueueTable(
        without(completionQueues, queue -> queue.queueId() == queueId),
        submissionQueues,
        nextCreation);
  }

  QueueTable withoutSubmissionQueue(final int queueId) {
    return new QueueTable(
        completionQueues,
        without(submissionQueues, queue -> queue.queueId() == queueId),
        nextCreation);
  }

  /** No queues; the numbers go on. */
  QueueTable cleared() {
    return new QueueTable(List.of(), List.of(), nextCreation);
  }

  private static <T> List<T> sorted(
      final List<T> queues, final T added, final Comparator<T> order) {
    final List<T> all = new ArrayList<>(queues);
    all.add(added);
    all.sort(order);
    return List.copyOf(all);
  }

  private static <T> List<T> without(final List<T> queues, final Predicate<T> removed) {
    return queues.stream().filter(removed.negate()).toList();
  }
}

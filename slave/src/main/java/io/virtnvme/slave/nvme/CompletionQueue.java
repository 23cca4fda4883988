package io.virtnvme.slave.nvme;

/**
 * A completion queue as the image has it. Queues are physically contiguous, always.
 *
 * @param queueId 0 is the admin queue
 * @param entryCount 2..4096
 * @param guestAddress begins a page; checked again before use, memory may have changed since
 * @param vector interrupt vector, or {@link #NO_INTERRUPT}
 * @param creation unlike that of every queue before it in this session: a journal with another one
 *     is not this queue's
 */
public record CompletionQueue(
    int queueId, int entryCount, long guestAddress, int vector, long creation) {
  /** The driver polls. */
  public static final int NO_INTERRUPT = -1;
}

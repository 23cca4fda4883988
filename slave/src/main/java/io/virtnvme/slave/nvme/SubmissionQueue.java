package io.virtnvme.slave.nvme;

/**
 * A submission queue as the image has it. Queues are physically contiguous, always; the priority is
 * not used.
 *
 * @param queueId 0 is the admin queue
 * @param completionQueueId where its completions go; it exists
 * @param entryCount 2..4096
 * @param guestAddress begins a page; checked again before use, memory may have changed since
 * @param creation unlike that of every queue before it in this session: a journal with another one
 *     is not this queue's
 */
public record SubmissionQueue(
    int queueId, int completionQueueId, int entryCount, long guestAddress, long creation) {}

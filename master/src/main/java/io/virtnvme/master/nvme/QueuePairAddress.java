package io.virtnvme.master.nvme;

/**
 * Where a controller finds an I/O queue pair.
 *
 * @param queueId of both queues, 1..65535
 * @param entryCount of both queues, 2..65536
 * @param sqIova where the submission queue begins, beginning a page
 * @param cqIova where the completion queue begins, beginning a page; its memory is zeroed
 */
public record QueuePairAddress(int queueId, int entryCount, long sqIova, long cqIova) {}

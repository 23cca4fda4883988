package io.virtnvme.slave.nvme;

/**
 * How an admin command ended.
 *
 * @param status of the completion, as {@link io.virtnvme.ipc.nvme.Status} has it, with its flags
 * @param result dword 0 of the completion
 * @param isOutstanding there is no completion now: an Asynchronous Event Request, which stays
 *     inflight
 */
public record AdminOutcome(int status, int result, boolean isOutstanding) {}

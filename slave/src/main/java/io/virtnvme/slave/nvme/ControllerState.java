package io.virtnvme.slave.nvme;

import java.util.List;

/**
 * What a controller image says; immutable. Reactors start queues from it.
 *
 * @param completionQueues those that exist, by id; the admin queue has id 0
 * @param submissionQueues those that exist, by id; each one's completion queue exists
 * @param shadowDoorbellAddress guest address of the shadow doorbell page, or 0
 * @param eventIndexAddress guest address of the event index page, or 0
 * @param isWriteCacheOn whether a write may be on the medium later than its completion
 */
public record ControllerState(
    List<CompletionQueue> completionQueues,
    List<SubmissionQueue> submissionQueues,
    long shadowDoorbellAddress,
    long eventIndexAddress,
    boolean isWriteCacheOn) {}

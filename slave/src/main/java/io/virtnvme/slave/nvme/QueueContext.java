package io.virtnvme.slave.nvme;

import io.virtnvme.ipc.segment.SessionSegment;

/**
 * What all queues of one controller have in common, for the whole life of its session; immutable.
 *
 * @param sessionId the session
 * @param area its mapped controller area
 * @param doorbellsAddress host address of the mapped doorbell page: the first byte is the tail of
 *     queue 0
 * @param isDoorbellMapped whether the guest stores to it without telling anybody
 * @param namespaceIdMax greatest namespace id, as the controller says
 * @param segment where the I/O queues count
 * @param reports takes what reactors have to say; called on their threads
 */
public record QueueContext(
    long sessionId,
    ControllerArea area,
    long doorbellsAddress,
    boolean isDoorbellMapped,
    int namespaceIdMax,
    SessionSegment segment,
    QueueReports reports) {
  /**
   * Where a submission queue counts: I/O queues in the session segment, as far as it has room, the
   * others in the controller area.
   */
  public long countersAddress(final int queueId) {
    return segment != null && queueId >= 1 && queueId <= SessionSegment.QUEUE_COUNT_MAX
        ? segment.queueCounters(queueId - 1)
        : area.countersAddress(queueId);
  }
}

package io.virtnvme.slave.nvme;

import io.virtnvme.ipc.segment.SessionSegment;
import java.util.List;

/**
 * What a session gives its queues. The mappings stay valid until the queues are stopped.
 *
 * @param sessionId the session
 * @param area its mapped controller area, formatted
 * @param doorbellsAddress host address of the doorbell page, {@link #DOORBELL_BYTES} mapped: the
 *     first byte is the tail of queue 0
 * @param isDoorbellMapped whether the guest maps that page, so that its stores come without a
 *     message
 * @param namespaceIdMax greatest namespace id
 * @param segment where I/O queues count
 * @param memory guest memory at the time
 * @param vectors eventfds of the interrupt vectors at the time, -1 for none
 * @param volumes the namespaces at the time
 */
@SuppressWarnings("ArrayRecordComponent") // a copy of its own for the queues
public record SessionParts(
    long sessionId,
    ControllerArea area,
    long doorbellsAddress,
    boolean isDoorbellMapped,
    int namespaceIdMax,
    SessionSegment segment,
    DmaMemory memory,
    int[] vectors,
    List<NamespaceVolume> volumes) {
  /** Length of the doorbell page. */
  public static final int DOORBELL_BYTES = 4096;
}

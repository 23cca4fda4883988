package io.virtnvme.slave.vfio;

import io.virtnvme.ipc.relay.SessionDescription;
import io.virtnvme.ipc.segment.SessionSegment;
import io.virtnvme.slave.virtqueue.GuestMemory;

/**
 * What a session has for a controller to run in. Immutable.
 *
 * @param sessionId the session
 * @param description what the master says of it, namespaces included
 * @param segment its segment
 * @param vectorCount interrupt vectors of the device
 * @param areaAddress host address of the controller area
 * @param doorbellsAddress host address of the doorbell page: the tail of queue 0
 * @param readable what the device may read of guest memory, as far as it is mapped
 * @param writable what it may write
 * @param isBusMaster whether it may reach guest memory at all
 * @param vectorFds eventfd of each interrupt vector, -1 for none; not to be changed
 */
@SuppressWarnings("ArrayRecordComponent")
public record NvmeMachine(
    long sessionId,
    SessionDescription description,
    SessionSegment segment,
    int vectorCount,
    long areaAddress,
    long doorbellsAddress,
    GuestMemory readable,
    GuestMemory writable,
    boolean isBusMaster,
    int[] vectorFds) {
  /** "VN", as the PCI configuration space has it; nobody's. */
  public static final int PCI_VENDOR_ID = 0x4E56;
}

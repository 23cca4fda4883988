package io.virtnvme.slave.reactor;

import io.virtnvme.ipc.segment.SessionSegment;
import io.virtnvme.slave.ring.RingSetup;
import java.util.List;

/**
 * A session as a standby has it mapped: what a reactor starts by itself the moment that it owns the
 * seat. Immutable, made on the control thread.
 *
 * @param recordVersion version of the record that the set-ups were made from
 * @param segment tells whether the dead slave went beyond that version
 * @param queues set-ups of the rings that run, of all reactors
 */
public record PreparedSession(
    long sessionId, long recordVersion, SessionSegment segment, List<? extends RingSetup> queues) {}

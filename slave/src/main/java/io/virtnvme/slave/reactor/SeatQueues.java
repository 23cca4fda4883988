package io.virtnvme.slave.reactor;

import io.virtnvme.slave.nvme.QueueEvents;
import io.virtnvme.slave.nvme.SessionParts;
import io.virtnvme.slave.nvme.SessionQueues;

/** A seat, as far as NVMe controllers know it. Control thread. */
@FunctionalInterface
public interface SeatQueues {
  /**
   * The NVMe queues of a session, which run nowhere yet. What reactors tell of them comes to {@code
   * events} on the control thread.
   */
  SessionQueues queues(SessionParts parts, QueueEvents events);
}

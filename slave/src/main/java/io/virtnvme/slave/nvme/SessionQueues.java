package io.virtnvme.slave.nvme;

import io.virtnvme.slave.ring.RingSetup;
import java.util.List;

/**
 * All queues of one session, as its control thread sees them: what the controller decides, and what
 * the session's messages change beside it. While the seat is not ours nothing runs: changes are
 * noted for {@link #prepared} and done at once.
 */
public interface SessionQueues extends QueueHost {
  /**
   * The rings that the committed image has, with the memory, vectors and namespaces of now: what a
   * reactor starts by itself when it gets the seat.
   *
   * @throws IllegalStateException when the image is damaged
   */
  List<RingSetup> prepared();

  /** Replaces the memory map; calls back when no reactor uses the one before. */
  void memory(DmaMemory memory, Runnable whenUnused);

  /** Replaces the namespaces; calls back when no reactor uses the disks that are not among them. */
  void volumes(List<NamespaceVolume> volumes, Runnable whenUnused);

  /**
   * Replaces the eventfds of the interrupt vectors, by number, -1 for none; calls back when no
   * reactor uses the ones before.
   */
  void vectors(int[] fds, Runnable whenUnused);

  /** What the queues have done since the session began, on whatever slave. */
  IoTotals totals();
}

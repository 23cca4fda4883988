package io.virtnvme.master.relay;

import io.virtnvme.ipc.memory.Mem;
import io.virtnvme.ipc.relay.SessionDescription;
import io.virtnvme.ipc.segment.SessionSegment;
import io.virtnvme.ipc.segment.SessionSegment.QueueCounter;
import java.util.EnumMap;
import java.util.Map;

/** What a session's guest did on each of its disks. Conductor thread. */
final class SessionIo {
  private final SessionSegment segment;

  /** What no disk has counted for itself, as far as was seen. It only grows. */
  private final Map<QueueCounter, Long> restMax = new EnumMap<>(QueueCounter.class);

  SessionIo(final SessionSegment segment) {
    this.segment = segment;
  }

  /** The session serves these disks: those that have no block of counters get one. */
  void claim(final SessionDescription description) {
    if (description.nvme() != null) {
      description.nvme().namespaces().forEach(namespace -> segment.claimDisk(namespace.bdevId()));
    }
  }

  /**
   * Adds the counters of one disk; also of one that the session served once.
   *
   * @param description of the session: its first disk has what belongs to no disk
   */
  void add(
      final SessionDescription description, final long bdevId, final Map<QueueCounter, Long> sums) {
    final long block = segment.diskCounters(bdevId);
    final boolean isFirst = description.bdevId() == bdevId;
    if (block == 0 && !isFirst) {
      return;
    }
    for (final QueueCounter counter : QueueCounter.values()) {
      final long own =
          block == 0 || !counter.isOfDisks()
              ? 0
              : Mem.getLongAcquire(block + counter.offsetBytes());
      sums.merge(counter, isFirst ? own + rest(counter) : own, Long::sum);
    }
  }

  /** The queues first: disks are counted before them, so I/O that goes on is not taken for rest. */
  private long rest(final QueueCounter counter) {
    final long all = segment.sum(counter);
    return restMax.merge(counter, Math.max(0, all - segment.diskSum(counter)), Math::max);
  }
}

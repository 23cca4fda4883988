package io.virtnvme.slave.nvme;

import io.virtnvme.ipc.nvme.Doorbells;
import io.virtnvme.slave.virtqueue.GuestMemory;
import java.util.List;

/**
 * Where a driver keeps its shadow doorbells and their event indices (base specification 2.0, 5.8).
 * Immutable; reactor thread.
 *
 * @param shadowAddress guest address of the page of doorbells, 0 for none
 * @param eventIndexAddress guest address of the page of event indices, 0 for none
 */
record ShadowDoorbells(long shadowAddress, long eventIndexAddress) {
  /** Tells queues where their words are in this memory. Not on the data path. */
  void find(
      final DmaMemory memory, final CompletionRing completion, final List<SubmissionRing> rings) {
    final int completionId = completion.queue().queueId();
    // The admin queue pair has none.
    final boolean hasShadows = completionId != 0;
    final int cq = Doorbells.cqHeadOffset(completionId);
    completion.shadow(
        hasShadows ? translate(memory.readable(), shadowAddress, cq) : 0,
        hasShadows ? translate(memory.writable(), eventIndexAddress, cq) : 0);
    for (final SubmissionRing ring : rings) {
      final int sq = Doorbells.sqTailOffset(ring.queue().queueId());
      ring.shadow(
          hasShadows ? translate(memory.readable(), shadowAddress, sq) : 0,
          hasShadows ? translate(memory.writable(), eventIndexAddress, sq) : 0);
    }
  }

  private static long translate(final GuestMemory map, final long page, final int offset) {
    return page == 0 ? 0 : map.translate(page + offset, Integer.BYTES);
  }
}

package io.virtnvme.journal;

import java.nio.ByteBuffer;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;

/**
 * The steps under "When reconnecting" of the vhost-user specification, taken at their word, with
 * literal offsets: another conforming back-end, to which a queue may move after a crash of ours.
 */
final class LiteralRecovery {
  private LiteralRecovery() {}

  /** Heads to resubmit, in order. */
  static List<Integer> split(final ByteBuffer region, final int queueSize, final int ringUsedIdx) {
    final int usedIdx = region.getShort(14) & 0xFFFF;
    if (usedIdx != ringUsedIdx) {
      final int batchSize = (ringUsedIdx - usedIdx) & 0xFFFF;
      int head = region.getShort(12) & 0xFFFF;
      for (int i = 0; i < batchSize; i++) {
        region.put(16 + 16 * head, (byte) 0);
        head = region.getShort(16 + 16 * head + 6) & 0xFFFF;
      }
    }
    return inflight(region, queueSize, 16, 16);
  }

  /**
   * First entries to resubmit, in order; null where the text cannot work: it compares the indices
   * only, which a batch as long as the ring leaves as they were.
   */
  static List<Integer> packed(final ByteBuffer memory, final int queueSize, final int ringOffset) {
    final int usedIdx = memory.getShort(16) & 0xFFFF;
    final int oldUsedIdx = memory.getShort(18) & 0xFFFF;
    final int oldWrap = memory.get(21);
    if (usedIdx == oldUsedIdx && memory.get(20) != oldWrap) {
      return null;
    }
    int freeHead = memory.getShort(14) & 0xFFFF;
    if (usedIdx != oldUsedIdx) {
      final int flags = memory.getShort(ringOffset + 16 * oldUsedIdx + 14) & 0x8080;
      if (flags != (oldWrap != 0 ? 0x0080 : 0x8000)) {
        freeHead = memory.getShort(12) & 0xFFFF;
      }
    }
    for (int entry = freeHead; entry < queueSize; ) {
      memory.put(32 + 32 * entry, (byte) 0);
      entry = memory.getShort(32 + 32 * entry + 2) & 0xFFFF;
    }
    return inflight(memory, queueSize, 32, 32);
  }

  private static List<Integer> inflight(
      final ByteBuffer region, final int queueSize, final int header, final int stride) {
    final List<Integer> heads = new ArrayList<>();
    for (int i = 0; i < queueSize; i++) {
      if (region.get(header + stride * i) == 1) {
        heads.add(i);
      }
    }
    heads.sort(Comparator.comparing(i -> region.getLong(header + stride * i + 8)));
    return heads;
  }
}

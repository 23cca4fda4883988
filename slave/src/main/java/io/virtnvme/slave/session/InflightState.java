package io.virtnvme.slave.session;

import io.virtnvme.journal.PackedInflight;
import io.virtnvme.journal.SplitInflight;

/**
 * The inflight region of a session: one journal per queue, side by side.
 *
 * @param own true if no front-end knows it: we made it so that the death of a slave is covered
 * @param lengthBytes length of the region
 * @param fileOffsetBytes where it begins in its file; a multiple of 8
 * @param queueCount journals in it
 * @param queueSize ring size that each journal has room for
 */
record InflightState(
    boolean own, long lengthBytes, long fileOffsetBytes, int queueCount, int queueSize) {
  /** A region that fits every ring which the front-end may set up, split or packed. */
  static InflightState forOwn(final int queueCount) {
    final int queueSize = SessionRules.QUEUE_SIZE_MAX;
    return new InflightState(
        true, queueCount * ownStrideBytes(queueSize), 0, queueCount, queueSize);
  }

  /**
   * Length of one journal in a region that is shared with a front-end, as the specification has it.
   */
  static long strideBytes(final boolean packed, final int queueSize) {
    return packed ? PackedInflight.regionLength(queueSize) : SplitInflight.regionLength(queueSize);
  }

  private static long ownStrideBytes(final int queueSize) {
    return Math.max(strideBytes(false, queueSize), strideBytes(true, queueSize));
  }

  /** Bytes from one journal to the next. */
  long strideBytes(final boolean packed) {
    return own ? ownStrideBytes(queueSize) : strideBytes(packed, queueSize);
  }

  /** Bytes that the journals need. */
  long neededBytes(final boolean packed) {
    return queueCount * strideBytes(packed);
  }
}

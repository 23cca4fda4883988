package io.virtnvme.ipc.virtio;

import io.virtnvme.ipc.memory.LayoutText;

/**
 * Avail ring of a split virtqueue (virtio 1.2, 2.7.6). The driver writes it: the entries, then the
 * index with release.
 *
 * <pre>
 *  0                   1                   2                   3
 *  0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
 *  +-------------------------------+-------------------------------+  0
 *  |            Flags              |             Index             |
 *  +-------------------------------+-------------------------------+  4
 *  |      Head of entry 0          |       Head of entry 1        ...
 *  +-------------------------------+-------------------------------+  4 + 2 * queue size
 *  |  Used event (2.7.7)           |
 *  +-------------------------------+
 * </pre>
 */
public final class AvailRing {
  public static final int FLAGS_OFFSET = 0;
  public static final int INDEX_OFFSET = FLAGS_OFFSET + Short.BYTES;
  public static final int RING_OFFSET = INDEX_OFFSET + Short.BYTES;
  public static final int ENTRY_LENGTH = Short.BYTES;

  /** The driver needs no signal for used buffers; a hint, and without event index only. */
  public static final int FLAG_NO_INTERRUPT = 1;

  private AvailRing() {}

  public static int usedEventOffset(final int queueSize) {
    return RING_OFFSET + queueSize * ENTRY_LENGTH;
  }

  /** Bytes of the ring, used event included. */
  public static int length(final int queueSize) {
    return usedEventOffset(queueSize) + Short.BYTES;
  }

  /** Offset, length and name of each field for a ring of 4, as the golden test wants them. */
  public static String describe() {
    final int queueSize = 4;
    return LayoutText.of("virtq_avail, queue size 4", length(queueSize))
        .field("flags", FLAGS_OFFSET, Short.BYTES)
        .field("idx", INDEX_OFFSET, Short.BYTES)
        .field("ring", RING_OFFSET, queueSize * ENTRY_LENGTH)
        .field("used_event", usedEventOffset(queueSize), Short.BYTES)
        .text();
  }
}

package io.virtnvme.ipc.virtio;

import io.virtnvme.ipc.memory.LayoutText;

/**
 * Used ring of a split virtqueue (virtio 1.2, 2.7.8). The device writes it: the elements, then the
 * index with release.
 *
 * <pre>
 *  0                   1                   2                   3
 *  0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
 *  +-------------------------------+-------------------------------+  0
 *  |            Flags              |             Index             |
 *  +-------------------------------+-------------------------------+  4
 *  |                      Head of element 0                        |
 *  +---------------------------------------------------------------+  8
 *  |                 Bytes written for element 0                  ...
 *  +---------------------------------------------------------------+  4 + 8 * queue size
 *  |  Avail event (2.7.10)         |
 *  +-------------------------------+
 * </pre>
 */
public final class UsedRing {
  public static final int FLAGS_OFFSET = 0;
  public static final int INDEX_OFFSET = FLAGS_OFFSET + Short.BYTES;
  public static final int RING_OFFSET = INDEX_OFFSET + Short.BYTES;
  public static final int ELEMENT_ID_OFFSET = 0;
  public static final int ELEMENT_LEN_OFFSET = ELEMENT_ID_OFFSET + Integer.BYTES;
  public static final int ELEMENT_LENGTH = ELEMENT_LEN_OFFSET + Integer.BYTES;

  /** The device needs no kick; a hint, and without event index only. */
  public static final int FLAG_NO_NOTIFY = 1;

  private UsedRing() {}

  public static int availEventOffset(final int queueSize) {
    return RING_OFFSET + queueSize * ELEMENT_LENGTH;
  }

  /** Bytes of the ring, avail event included. */
  public static int length(final int queueSize) {
    return availEventOffset(queueSize) + Short.BYTES;
  }

  /** An element as one word. */
  public static long element(final int head, final int writtenBytes) {
    return (head & 0xFFFF_FFFFL) | ((long) writtenBytes << Integer.SIZE);
  }

  /** Offset, length and name of each field for a ring of 4, as the golden test wants them. */
  public static String describe() {
    final int queueSize = 4;
    return LayoutText.of("virtq_used, queue size 4", length(queueSize))
        .field("flags", FLAGS_OFFSET, Short.BYTES)
        .field("idx", INDEX_OFFSET, Short.BYTES)
        .field("ring[0].id", RING_OFFSET + ELEMENT_ID_OFFSET, Integer.BYTES)
        .field("ring[0].len", RING_OFFSET + ELEMENT_LEN_OFFSET, Integer.BYTES)
        .field("ring[1..]", RING_OFFSET + ELEMENT_LENGTH, (queueSize - 1) * ELEMENT_LENGTH)
        .field("avail_event", availEventOffset(queueSize), Short.BYTES)
        .text();
  }
}

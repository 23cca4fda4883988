package io.virtnvme.ipc.vhostuser;

import io.virtnvme.ipc.memory.LittleEndian;

/**
 * Payload of GET_INFLIGHT_FD, its reply, and SET_INFLIGHT_FD ("Inflight description"). C front-ends
 * pad the structure to a multiple of eight bytes, so both lengths are on the wire, and a reply has
 * its request's. Methods take the whole message. Any thread.
 *
 * <pre>
 *  +---------------------------------------------------------------+
 *  |                           mmap size                           |
 *  +---------------------------------------------------------------+  8
 *  |                          mmap offset                          |
 *  +---------------+---------------+-------------------------------+ 16
 *  |  num queues   |  queue size   |  padding (may be absent)      |
 *  +---------------+---------------+-------------------------------+ 20 or 24
 * </pre>
 */
public final class InflightArea {
  public static final int MMAP_SIZE_OFFSET = 0;
  public static final int MMAP_OFFSET_OFFSET = MMAP_SIZE_OFFSET + Long.BYTES;
  public static final int QUEUE_COUNT_OFFSET = MMAP_OFFSET_OFFSET + Long.BYTES;
  public static final int QUEUE_SIZE_OFFSET = QUEUE_COUNT_OFFSET + Short.BYTES;
  public static final int PACKED_LENGTH = QUEUE_SIZE_OFFSET + Short.BYTES;
  public static final int PADDED_LENGTH = PACKED_LENGTH + Integer.BYTES;

  private static final int BASE = VhostUserMessage.PAYLOAD_OFFSET;

  private InflightArea() {}

  public static long mmapSize(final byte[] message) {
    return LittleEndian.getLong(message, BASE + MMAP_SIZE_OFFSET);
  }

  public static long mmapOffset(final byte[] message) {
    return LittleEndian.getLong(message, BASE + MMAP_OFFSET_OFFSET);
  }

  /** 0..65535. */
  public static int queueCount(final byte[] message) {
    return LittleEndian.getUnsignedShort(message, BASE + QUEUE_COUNT_OFFSET);
  }

  /** 0..65535. */
  public static int queueSize(final byte[] message) {
    return LittleEndian.getUnsignedShort(message, BASE + QUEUE_SIZE_OFFSET);
  }

  /** Fills the payload. */
  public static void put(
      final byte[] message,
      final long mmapSize,
      final long mmapOffset,
      final int queueCount,
      final int queueSize) {
    LittleEndian.putLong(message, BASE + MMAP_SIZE_OFFSET, mmapSize);
    LittleEndian.putLong(message, BASE + MMAP_OFFSET_OFFSET, mmapOffset);
    LittleEndian.putShort(message, BASE + QUEUE_COUNT_OFFSET, queueCount);
    LittleEndian.putShort(message, BASE + QUEUE_SIZE_OFFSET, queueSize);
  }

  /** Name, offset and length of every field, as pinned by the golden test. */
  public static String describe() {
    return Field.structure(
        "inflight area",
        PADDED_LENGTH,
        new Field("mmap size", MMAP_SIZE_OFFSET, Long.BYTES),
        new Field("mmap offset", MMAP_OFFSET_OFFSET, Long.BYTES),
        new Field("queue count", QUEUE_COUNT_OFFSET, Short.BYTES),
        new Field("queue size", QUEUE_SIZE_OFFSET, Short.BYTES),
        new Field("padding", PACKED_LENGTH, Integer.BYTES));
  }
}

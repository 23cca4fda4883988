package io.virtnvme.ipc.vhostuser;

import io.virtnvme.ipc.memory.LittleEndian;

/**
 * Payload of SET_LOG_BASE with LOG_SHMFD ("Log description"). Methods take the whole message. Any
 * thread.
 *
 * <pre>
 *  +---------------------------------------------------------------+
 *  |                             size                              |
 *  +---------------------------------------------------------------+  8
 *  |                            offset                             |
 *  +---------------------------------------------------------------+ 16
 * </pre>
 */
public final class LogArea {
  public static final int SIZE_OFFSET = 0;
  public static final int OFFSET_OFFSET = SIZE_OFFSET + Long.BYTES;
  public static final int LENGTH = OFFSET_OFFSET + Long.BYTES;

  private LogArea() {}

  /** Length of the log in bytes; one bit stands for 4096 bytes of guest memory. */
  public static long size(final byte[] message) {
    return LittleEndian.getLong(message, VhostUserMessage.PAYLOAD_OFFSET + SIZE_OFFSET);
  }

  /** Where the log begins in its file. */
  public static long offset(final byte[] message) {
    return LittleEndian.getLong(message, VhostUserMessage.PAYLOAD_OFFSET + OFFSET_OFFSET);
  }

  /** Fills the payload. */
  public static void put(final byte[] message, final long size, final long offset) {
    LittleEndian.putLong(message, VhostUserMessage.PAYLOAD_OFFSET + SIZE_OFFSET, size);
    LittleEndian.putLong(message, VhostUserMessage.PAYLOAD_OFFSET + OFFSET_OFFSET, offset);
  }

  /** Name, offset and length of every field, as pinned by the golden test. */
  public static String describe() {
    return Field.structure(
        "log area",
        LENGTH,
        new Field("size", SIZE_OFFSET, Long.BYTES),
        new Field("offset", OFFSET_OFFSET, Long.BYTES));
  }
}

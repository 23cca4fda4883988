package io.virtnvme.ipc.vhostuser;

import io.virtnvme.ipc.memory.LittleEndian;

/**
 * Payload of GET_CONFIG and SET_CONFIG, and of GET_CONFIG's reply ("Virtio device config space").
 * Methods take the whole message. Any thread.
 *
 * <pre>
 *  +-------------------------------+-------------------------------+
 *  |            offset             |             size              |
 *  +-------------------------------+-------------------------------+  8
 *  |            flags              |  size bytes ...
 *  +-------------------------------+ 12
 * </pre>
 */
public final class ConfigSpace {
  public static final int OFFSET_OFFSET = 0;
  public static final int SIZE_OFFSET = OFFSET_OFFSET + Integer.BYTES;
  public static final int FLAGS_OFFSET = SIZE_OFFSET + Integer.BYTES;
  public static final int BYTES_OFFSET = FLAGS_OFFSET + Integer.BYTES;

  /** Longest configuration space of any device. */
  public static final int SIZE_MAX = 256;

  /** flags: the guest changes a writable field. */
  public static final int FLAG_WRITABLE = 0;

  /** flags: a migration restores the fields, read-only ones too. */
  public static final int FLAG_MIGRATION = 1;

  private static final int BASE = VhostUserMessage.PAYLOAD_OFFSET;

  private ConfigSpace() {}

  /** Length of a payload that carries {@code size} bytes. */
  public static int length(final int size) {
    return BYTES_OFFSET + size;
  }

  public static int offset(final byte[] message) {
    return LittleEndian.getInt(message, BASE + OFFSET_OFFSET);
  }

  public static int size(final byte[] message) {
    return LittleEndian.getInt(message, BASE + SIZE_OFFSET);
  }

  public static int flags(final byte[] message) {
    return LittleEndian.getInt(message, BASE + FLAGS_OFFSET);
  }

  /** Fills everything before the bytes, which begin at {@link #bytesIndex}. */
  public static void put(final byte[] message, final int offset, final int size, final int flags) {
    LittleEndian.putInt(message, BASE + OFFSET_OFFSET, offset);
    LittleEndian.putInt(message, BASE + SIZE_OFFSET, size);
    LittleEndian.putInt(message, BASE + FLAGS_OFFSET, flags);
  }

  /** Index in the message of the first byte of configuration space. */
  public static int bytesIndex() {
    return BASE + BYTES_OFFSET;
  }

  /** Name, offset and length of every field, as pinned by the golden test. */
  public static String describe() {
    return Field.structure(
        "config space",
        BYTES_OFFSET,
        new Field("offset", OFFSET_OFFSET, Integer.BYTES),
        new Field("size", SIZE_OFFSET, Integer.BYTES),
        new Field("flags", FLAGS_OFFSET, Integer.BYTES));
  }
}

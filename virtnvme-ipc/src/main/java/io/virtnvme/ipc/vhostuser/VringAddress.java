package io.virtnvme.ipc.vhostuser;

import io.virtnvme.ipc.memory.LittleEndian;

/**
 * Payload of SET_VRING_ADDR ("A vring address description"). The three addresses are user addresses
 * of the front-end; {@code log} is a guest address. For packed rings descriptor, used and available
 * mean descriptor ring, device event suppression and driver event suppression. Methods take the
 * whole message. Any thread.
 *
 * <pre>
 *  +-------------------------------+-------------------------------+
 *  |            index              |             flags             |
 *  +-------------------------------+-------------------------------+  8
 *  |                          descriptor                           |
 *  +---------------------------------------------------------------+ 16
 *  |                             used                              |
 *  +---------------------------------------------------------------+ 24
 *  |                           available                           |
 *  +---------------------------------------------------------------+ 32
 *  |                              log                              |
 *  +---------------------------------------------------------------+ 40
 * </pre>
 */
public final class VringAddress {
  public static final int INDEX_OFFSET = 0;
  public static final int FLAGS_OFFSET = INDEX_OFFSET + Integer.BYTES;
  public static final int DESCRIPTOR_OFFSET = FLAGS_OFFSET + Integer.BYTES;
  public static final int USED_OFFSET = DESCRIPTOR_OFFSET + Long.BYTES;
  public static final int AVAILABLE_OFFSET = USED_OFFSET + Long.BYTES;
  public static final int LOG_OFFSET = AVAILABLE_OFFSET + Long.BYTES;
  public static final int LENGTH = LOG_OFFSET + Long.BYTES;

  /** flags: changes of the used ring are logged as dirty at the log address. */
  public static final int LOG_FLAG = 1;

  private static final int BASE = VhostUserMessage.PAYLOAD_OFFSET;

  private VringAddress() {}

  public static int index(final byte[] message) {
    return LittleEndian.getInt(message, BASE + INDEX_OFFSET);
  }

  public static int flags(final byte[] message) {
    return LittleEndian.getInt(message, BASE + FLAGS_OFFSET);
  }

  public static long descriptor(final byte[] message) {
    return LittleEndian.getLong(message, BASE + DESCRIPTOR_OFFSET);
  }

  public static long used(final byte[] message) {
    return LittleEndian.getLong(message, BASE + USED_OFFSET);
  }

  public static long available(final byte[] message) {
    return LittleEndian.getLong(message, BASE + AVAILABLE_OFFSET);
  }

  public static long log(final byte[] message) {
    return LittleEndian.getLong(message, BASE + LOG_OFFSET);
  }

  /** Fills the payload. */
  public static void put(
      final byte[] message,
      final int index,
      final int flags,
      final long descriptor,
      final long used,
      final long available,
      final long log) {
    LittleEndian.putInt(message, BASE + INDEX_OFFSET, index);
    LittleEndian.putInt(message, BASE + FLAGS_OFFSET, flags);
    LittleEndian.putLong(message, BASE + DESCRIPTOR_OFFSET, descriptor);
    LittleEndian.putLong(message, BASE + USED_OFFSET, used);
    LittleEndian.putLong(message, BASE + AVAILABLE_OFFSET, available);
    LittleEndian.putLong(message, BASE + LOG_OFFSET, log);
  }

  /** Name, offset and length of every field, as pinned by the golden test. */
  public static String describe() {
    return Field.structure(
        "vring address",
        LENGTH,
        new Field("index", INDEX_OFFSET, Integer.BYTES),
        new Field("flags", FLAGS_OFFSET, Integer.BYTES),
        new Field("descriptor", DESCRIPTOR_OFFSET, Long.BYTES),
        new Field("used", USED_OFFSET, Long.BYTES),
        new Field("available", AVAILABLE_OFFSET, Long.BYTES),
        new Field("log", LOG_OFFSET, Long.BYTES));
  }
}

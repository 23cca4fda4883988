package io.virtnvme.ipc.vfiouser;

import io.virtnvme.ipc.memory.LayoutText;
import io.virtnvme.ipc.memory.LittleEndian;

/**
 * Payload of DEVICE_GET_REGION_IO_FDS and the fixed part of its reply. Methods take the whole
 * message. Any thread.
 *
 * <pre>
 *  +-------------------------------+-------------------------------+
 *  |             argsz             |             flags             |
 *  +---------------------------------------------------------------+  8
 *  |             index             |             count             |
 *  +---------------------------------------------------------------+ 16
 * </pre>
 */
public final class RegionIoFds {
  public static final int ARGSZ_OFFSET = 0;
  public static final int FLAGS_OFFSET = ARGSZ_OFFSET + Integer.BYTES;
  public static final int INDEX_OFFSET = FLAGS_OFFSET + Integer.BYTES;
  public static final int COUNT_OFFSET = INDEX_OFFSET + Integer.BYTES;
  public static final int LENGTH = COUNT_OFFSET + Integer.BYTES;

  private static final int BASE = VfioUserMessage.PAYLOAD_OFFSET;

  private RegionIoFds() {}

  public static int argsz(final byte[] message) {
    return LittleEndian.getInt(message, BASE + ARGSZ_OFFSET);
  }

  public static int flags(final byte[] message) {
    return LittleEndian.getInt(message, BASE + FLAGS_OFFSET);
  }

  public static int index(final byte[] message) {
    return LittleEndian.getInt(message, BASE + INDEX_OFFSET);
  }

  /** Sub-regions that follow. */
  public static int count(final byte[] message) {
    return LittleEndian.getInt(message, BASE + COUNT_OFFSET);
  }

  /** Fills the fields. */
  public static void put(
      final byte[] message, final int argsz, final int flags, final int index, final int count) {
    LittleEndian.putInt(message, BASE + ARGSZ_OFFSET, argsz);
    LittleEndian.putInt(message, BASE + FLAGS_OFFSET, flags);
    LittleEndian.putInt(message, BASE + INDEX_OFFSET, index);
    LittleEndian.putInt(message, BASE + COUNT_OFFSET, count);
  }

  /** Name, offset and length of every field, as pinned by the golden test. */
  public static String describe() {
    return LayoutText.of("region io fds", LENGTH)
        .field("argsz", ARGSZ_OFFSET, Integer.BYTES)
        .field("flags", FLAGS_OFFSET, Integer.BYTES)
        .field("index", INDEX_OFFSET, Integer.BYTES)
        .field("count", COUNT_OFFSET, Integer.BYTES)
        .text();
  }
}

package io.virtnvme.ipc.vfiouser;

import io.virtnvme.ipc.memory.LayoutText;
import io.virtnvme.ipc.memory.LittleEndian;

/**
 * Payload of DEVICE_FEATURE ("VFIO_USER_DEVICE_FEATURE"); data follows. Methods take the whole
 * message. Any thread.
 *
 * <pre>
 *  +-------------------------------+-------------------------------+
 *  |             argsz             |             flags             |
 *  +---------------------------------------------------------------+  8
 *  |                            data ...                           |
 * </pre>
 */
public final class DeviceFeature {
  public static final int ARGSZ_OFFSET = 0;
  public static final int FLAGS_OFFSET = ARGSZ_OFFSET + Integer.BYTES;

  /** Length without the data. */
  public static final int LENGTH = FLAGS_OFFSET + Integer.BYTES;

  /** flags: which feature. */
  public static final int INDEX_MASK = 0xFFFF;

  private static final int BASE = VfioUserMessage.PAYLOAD_OFFSET;

  private DeviceFeature() {}

  public static int argsz(final byte[] message) {
    return LittleEndian.getInt(message, BASE + ARGSZ_OFFSET);
  }

  /** Feature number in the lower 16 bits, then what is asked of it. */
  public static int flags(final byte[] message) {
    return LittleEndian.getInt(message, BASE + FLAGS_OFFSET);
  }

  /** Fills the fields. */
  public static void put(final byte[] message, final int argsz, final int flags) {
    LittleEndian.putInt(message, BASE + ARGSZ_OFFSET, argsz);
    LittleEndian.putInt(message, BASE + FLAGS_OFFSET, flags);
  }

  /** Name, offset and length of every field, as pinned by the golden test. */
  public static String describe() {
    return LayoutText.of("device feature", LENGTH)
        .field("argsz", ARGSZ_OFFSET, Integer.BYTES)
        .field("flags", FLAGS_OFFSET, Integer.BYTES)
        .text();
  }
}

package io.virtnvme.ipc.vfiouser;

import io.virtnvme.ipc.memory.LayoutText;
import io.virtnvme.ipc.memory.LittleEndian;

/**
 * Payload of DEVICE_SET_IRQS ("VFIO_USER_DEVICE_SET_IRQS"); the reply has none. Eventfds are the
 * message's descriptors. Methods take the whole message. Any thread.
 *
 * <pre>
 *  +-------------------------------+-------------------------------+
 *  |             argsz             |             flags             |
 *  +---------------------------------------------------------------+  8
 *  |             index             |             start             |
 *  +---------------------------------------------------------------+ 16
 *  |             count             |   one byte each if DATA_BOOL  |
 *  +---------------------------------------------------------------+ 20
 * </pre>
 */
public final class IrqSet {
  public static final int ARGSZ_OFFSET = 0;
  public static final int FLAGS_OFFSET = ARGSZ_OFFSET + Integer.BYTES;
  public static final int INDEX_OFFSET = FLAGS_OFFSET + Integer.BYTES;
  public static final int START_OFFSET = INDEX_OFFSET + Integer.BYTES;
  public static final int COUNT_OFFSET = START_OFFSET + Integer.BYTES;

  /** Length without the bytes of DATA_BOOL. */
  public static final int LENGTH = COUNT_OFFSET + Integer.BYTES;

  public static final int DATA_NONE_FLAG = 1;
  public static final int DATA_BOOL_FLAG = 2;
  public static final int DATA_EVENTFD_FLAG = 4;
  public static final int DATA_MASK = 7;
  public static final int ACTION_MASK_FLAG = 8;
  public static final int ACTION_UNMASK_FLAG = 16;
  public static final int ACTION_TRIGGER_FLAG = 32;
  public static final int ACTION_MASK = 56;

  private static final int BASE = VfioUserMessage.PAYLOAD_OFFSET;

  private IrqSet() {}

  public static int argsz(final byte[] message) {
    return LittleEndian.getInt(message, BASE + ARGSZ_OFFSET);
  }

  /** One data flag and one action flag. */
  public static int flags(final byte[] message) {
    return LittleEndian.getInt(message, BASE + FLAGS_OFFSET);
  }

  /** An index of {@link PciIrq}. */
  public static int index(final byte[] message) {
    return LittleEndian.getInt(message, BASE + INDEX_OFFSET);
  }

  public static int start(final byte[] message) {
    return LittleEndian.getInt(message, BASE + START_OFFSET);
  }

  public static int count(final byte[] message) {
    return LittleEndian.getInt(message, BASE + COUNT_OFFSET);
  }

  /** Fills the fields. */
  public static void put(
      final byte[] message,
      final int argsz,
      final int flags,
      final int index,
      final int start,
      final int count) {
    LittleEndian.putInt(message, BASE + ARGSZ_OFFSET, argsz);
    LittleEndian.putInt(message, BASE + FLAGS_OFFSET, flags);
    LittleEndian.putInt(message, BASE + INDEX_OFFSET, index);
    LittleEndian.putInt(message, BASE + START_OFFSET, start);
    LittleEndian.putInt(message, BASE + COUNT_OFFSET, count);
  }

  /** Whether the action is wanted for the {@code i}th of the range; with DATA_BOOL only. */
  public static boolean isWanted(final byte[] message, final int i) {
    return message[BASE + LENGTH + i] != 0;
  }

  /** Name, offset and length of every field, as pinned by the golden test. */
  public static String describe() {
    return LayoutText.of("irq set", LENGTH)
        .field("argsz", ARGSZ_OFFSET, Integer.BYTES)
        .field("flags", FLAGS_OFFSET, Integer.BYTES)
        .field("index", INDEX_OFFSET, Integer.BYTES)
        .field("start", START_OFFSET, Integer.BYTES)
        .field("count", COUNT_OFFSET, Integer.BYTES)
        .text();
  }
}

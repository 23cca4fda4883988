package io.virtnvme.ipc.vfiouser;

import io.virtnvme.ipc.memory.LayoutText;
import io.virtnvme.ipc.memory.LittleEndian;

/**
 * Payload of DEVICE_GET_INFO and of its reply ("VFIO_USER_DEVICE_GET_INFO"). Methods take the whole
 * message. Any thread.
 *
 * <pre>
 *  +-------------------------------+-------------------------------+
 *  |             argsz             |             flags             |
 *  +---------------------------------------------------------------+  8
 *  |          region count         |           irq count           |
 *  +---------------------------------------------------------------+ 16
 * </pre>
 */
public final class DeviceInfo {
  public static final int ARGSZ_OFFSET = 0;
  public static final int FLAGS_OFFSET = ARGSZ_OFFSET + Integer.BYTES;
  public static final int REGION_COUNT_OFFSET = FLAGS_OFFSET + Integer.BYTES;
  public static final int IRQ_COUNT_OFFSET = REGION_COUNT_OFFSET + Integer.BYTES;
  public static final int LENGTH = IRQ_COUNT_OFFSET + Integer.BYTES;

  /** flags: DEVICE_RESET is understood. */
  public static final int RESET_FLAG = 1;

  /** flags: it is a PCI device. */
  public static final int PCI_FLAG = 2;

  private static final int BASE = VfioUserMessage.PAYLOAD_OFFSET;

  private DeviceInfo() {}

  public static int argsz(final byte[] message) {
    return LittleEndian.getInt(message, BASE + ARGSZ_OFFSET);
  }

  public static int flags(final byte[] message) {
    return LittleEndian.getInt(message, BASE + FLAGS_OFFSET);
  }

  public static int regionCount(final byte[] message) {
    return LittleEndian.getInt(message, BASE + REGION_COUNT_OFFSET);
  }

  public static int irqCount(final byte[] message) {
    return LittleEndian.getInt(message, BASE + IRQ_COUNT_OFFSET);
  }

  /** Fills the fields. */
  public static void put(
      final byte[] message,
      final int argsz,
      final int flags,
      final int regionCount,
      final int irqCount) {
    LittleEndian.putInt(message, BASE + ARGSZ_OFFSET, argsz);
    LittleEndian.putInt(message, BASE + FLAGS_OFFSET, flags);
    LittleEndian.putInt(message, BASE + REGION_COUNT_OFFSET, regionCount);
    LittleEndian.putInt(message, BASE + IRQ_COUNT_OFFSET, irqCount);
  }

  /** Name, offset and length of every field, as pinned by the golden test. */
  public static String describe() {
    return LayoutText.of("device info", LENGTH)
        .field("argsz", ARGSZ_OFFSET, Integer.BYTES)
        .field("flags", FLAGS_OFFSET, Integer.BYTES)
        .field("region count", REGION_COUNT_OFFSET, Integer.BYTES)
        .field("irq count", IRQ_COUNT_OFFSET, Integer.BYTES)
        .text();
  }
}

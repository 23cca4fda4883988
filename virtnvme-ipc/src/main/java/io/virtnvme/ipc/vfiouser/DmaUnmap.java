package io.virtnvme.ipc.vfiouser;

import io.virtnvme.ipc.memory.LayoutText;
import io.virtnvme.ipc.memory.LittleEndian;

/**
 * Payload of DMA_UNMAP and of its reply ("VFIO_USER_DMA_UNMAP"). Methods take the whole message.
 * Any thread.
 *
 * <pre>
 *  +-------------------------------+-------------------------------+
 *  |             argsz             |             flags             |
 *  +---------------------------------------------------------------+  8
 *  |                            address                            |
 *  +---------------------------------------------------------------+ 16
 *  |                              size                             |
 *  +---------------------------------------------------------------+ 24
 * </pre>
 */
public final class DmaUnmap {
  public static final int ARGSZ_OFFSET = 0;
  public static final int FLAGS_OFFSET = ARGSZ_OFFSET + Integer.BYTES;
  public static final int ADDRESS_OFFSET = FLAGS_OFFSET + Integer.BYTES;
  public static final int SIZE_OFFSET = ADDRESS_OFFSET + Long.BYTES;
  public static final int LENGTH = SIZE_OFFSET + Long.BYTES;

  /** flags: the dirty pages of the region are wanted, too. */
  public static final int DIRTY_BITMAP_FLAG = 1;

  /** flags: every region; address and size are zero. */
  public static final int ALL_FLAG = 2;

  private static final int BASE = VfioUserMessage.PAYLOAD_OFFSET;

  private DmaUnmap() {}

  public static int argsz(final byte[] message) {
    return LittleEndian.getInt(message, BASE + ARGSZ_OFFSET);
  }

  public static int flags(final byte[] message) {
    return LittleEndian.getInt(message, BASE + FLAGS_OFFSET);
  }

  public static long address(final byte[] message) {
    return LittleEndian.getLong(message, BASE + ADDRESS_OFFSET);
  }

  public static long size(final byte[] message) {
    return LittleEndian.getLong(message, BASE + SIZE_OFFSET);
  }

  /** Fills the fields. */
  public static void put(
      final byte[] message, final int argsz, final int flags, final long address, final long size) {
    LittleEndian.putInt(message, BASE + ARGSZ_OFFSET, argsz);
    LittleEndian.putInt(message, BASE + FLAGS_OFFSET, flags);
    LittleEndian.putLong(message, BASE + ADDRESS_OFFSET, address);
    LittleEndian.putLong(message, BASE + SIZE_OFFSET, size);
  }

  /** Name, offset and length of every field, as pinned by the golden test. */
  public static String describe() {
    return LayoutText.of("DMA unmap", LENGTH)
        .field("argsz", ARGSZ_OFFSET, Integer.BYTES)
        .field("flags", FLAGS_OFFSET, Integer.BYTES)
        .field("address", ADDRESS_OFFSET, Long.BYTES)
        .field("size", SIZE_OFFSET, Long.BYTES)
        .text();
  }
}

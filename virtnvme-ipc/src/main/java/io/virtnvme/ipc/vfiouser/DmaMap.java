package io.virtnvme.ipc.vfiouser;

import io.virtnvme.ipc.memory.LayoutText;
import io.virtnvme.ipc.memory.LittleEndian;

/**
 * Payload of DMA_MAP ("VFIO_USER_DMA_MAP"); the reply has none. Methods take the whole message. Any
 * thread.
 *
 * <pre>
 *  +-------------------------------+-------------------------------+
 *  |             argsz             |             flags             |
 *  +---------------------------------------------------------------+  8
 *  |                       offset in the file                      |
 *  +---------------------------------------------------------------+ 16
 *  |                            address                            |
 *  +---------------------------------------------------------------+ 24
 *  |                              size                             |
 *  +---------------------------------------------------------------+ 32
 * </pre>
 */
public final class DmaMap {
  public static final int ARGSZ_OFFSET = 0;
  public static final int FLAGS_OFFSET = ARGSZ_OFFSET + Integer.BYTES;
  public static final int OFFSET_OFFSET = FLAGS_OFFSET + Integer.BYTES;
  public static final int ADDRESS_OFFSET = OFFSET_OFFSET + Long.BYTES;
  public static final int SIZE_OFFSET = ADDRESS_OFFSET + Long.BYTES;
  public static final int LENGTH = SIZE_OFFSET + Long.BYTES;

  /** flags: the device may read it. */
  public static final int READ_FLAG = 1;

  /** flags: the device may write it. */
  public static final int WRITE_FLAG = 2;

  /** flags, not in the specification's text: says what a descriptor says anyway. */
  public static final int MMAP_FLAG = 4;

  private static final int BASE = VfioUserMessage.PAYLOAD_OFFSET;

  private DmaMap() {}

  public static int argsz(final byte[] message) {
    return LittleEndian.getInt(message, BASE + ARGSZ_OFFSET);
  }

  public static int flags(final byte[] message) {
    return LittleEndian.getInt(message, BASE + FLAGS_OFFSET);
  }

  /** Where the region begins in its file. */
  public static long offset(final byte[] message) {
    return LittleEndian.getLong(message, BASE + OFFSET_OFFSET);
  }

  /** Where the device sees it. */
  public static long address(final byte[] message) {
    return LittleEndian.getLong(message, BASE + ADDRESS_OFFSET);
  }

  /** Length in bytes, unsigned. */
  public static long size(final byte[] message) {
    return LittleEndian.getLong(message, BASE + SIZE_OFFSET);
  }

  /** Fills the fields. */
  public static void put(
      final byte[] message,
      final int argsz,
      final int flags,
      final long offset,
      final long address,
      final long size) {
    LittleEndian.putInt(message, BASE + ARGSZ_OFFSET, argsz);
    LittleEndian.putInt(message, BASE + FLAGS_OFFSET, flags);
    LittleEndian.putLong(message, BASE + OFFSET_OFFSET, offset);
    LittleEndian.putLong(message, BASE + ADDRESS_OFFSET, address);
    LittleEndian.putLong(message, BASE + SIZE_OFFSET, size);
  }

  /** Name, offset and length of every field, as pinned by the golden test. */
  public static String describe() {
    return LayoutText.of("DMA map", LENGTH)
        .field("argsz", ARGSZ_OFFSET, Integer.BYTES)
        .field("flags", FLAGS_OFFSET, Integer.BYTES)
        .field("offset", OFFSET_OFFSET, Long.BYTES)
        .field("address", ADDRESS_OFFSET, Long.BYTES)
        .field("size", SIZE_OFFSET, Long.BYTES)
        .text();
  }
}

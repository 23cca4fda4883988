package io.virtnvme.ipc.vfiouser;

import io.virtnvme.ipc.memory.LayoutText;
import io.virtnvme.ipc.memory.LittleEndian;

/**
 * Payload of DEVICE_GET_REGION_INFO and of its reply ("VFIO_USER_DEVICE_GET_REGION_INFO");
 * capabilities may follow. Methods take the whole message. Any thread.
 *
 * <pre>
 *  +-------------------------------+-------------------------------+
 *  |             argsz             |             flags             |
 *  +---------------------------------------------------------------+  8
 *  |             index             |       capability offset       |
 *  +---------------------------------------------------------------+ 16
 *  |                              size                             |
 *  +---------------------------------------------------------------+ 24
 *  |                             offset                            |
 *  +---------------------------------------------------------------+ 32
 * </pre>
 */
public final class RegionInfo {
  public static final int ARGSZ_OFFSET = 0;
  public static final int FLAGS_OFFSET = ARGSZ_OFFSET + Integer.BYTES;
  public static final int INDEX_OFFSET = FLAGS_OFFSET + Integer.BYTES;
  public static final int CAP_OFFSET_OFFSET = INDEX_OFFSET + Integer.BYTES;
  public static final int SIZE_OFFSET = CAP_OFFSET_OFFSET + Integer.BYTES;
  public static final int OFFSET_OFFSET = SIZE_OFFSET + Long.BYTES;

  /** Length without capabilities. */
  public static final int LENGTH = OFFSET_OFFSET + Long.BYTES;

  public static final int READ_FLAG = 1;
  public static final int WRITE_FLAG = 2;

  /** flags: can be mapped; a descriptor comes with the reply. */
  public static final int MMAP_FLAG = 4;

  /** flags: capabilities follow. */
  public static final int CAPS_FLAG = 8;

  private static final int BASE = VfioUserMessage.PAYLOAD_OFFSET;

  private RegionInfo() {}

  public static int argsz(final byte[] message) {
    return LittleEndian.getInt(message, BASE + ARGSZ_OFFSET);
  }

  public static int flags(final byte[] message) {
    return LittleEndian.getInt(message, BASE + FLAGS_OFFSET);
  }

  /** An index of {@link PciRegion}. */
  public static int index(final byte[] message) {
    return LittleEndian.getInt(message, BASE + INDEX_OFFSET);
  }

  /** First capability, from the begin of this structure; 0 = none. */
  public static int capOffset(final byte[] message) {
    return LittleEndian.getInt(message, BASE + CAP_OFFSET_OFFSET);
  }

  public static long size(final byte[] message) {
    return LittleEndian.getLong(message, BASE + SIZE_OFFSET);
  }

  /** To be added to an offset in the region for mmap. */
  public static long offset(final byte[] message) {
    return LittleEndian.getLong(message, BASE + OFFSET_OFFSET);
  }

  /** Fills the fields. */
  public static void put(
      final byte[] message,
      final int argsz,
      final int flags,
      final int index,
      final int capOffset,
      final long size,
      final long offset) {
    LittleEndian.putInt(message, BASE + ARGSZ_OFFSET, argsz);
    LittleEndian.putInt(message, BASE + FLAGS_OFFSET, flags);
    LittleEndian.putInt(message, BASE + INDEX_OFFSET, index);
    LittleEndian.putInt(message, BASE + CAP_OFFSET_OFFSET, capOffset);
    LittleEndian.putLong(message, BASE + SIZE_OFFSET, size);
    LittleEndian.putLong(message, BASE + OFFSET_OFFSET, offset);
  }

  /** Name, offset and length of every field, as pinned by the golden test. */
  public static String describe() {
    return LayoutText.of("region info", LENGTH)
        .field("argsz", ARGSZ_OFFSET, Integer.BYTES)
        .field("flags", FLAGS_OFFSET, Integer.BYTES)
        .field("index", INDEX_OFFSET, Integer.BYTES)
        .field("cap offset", CAP_OFFSET_OFFSET, Integer.BYTES)
        .field("size", SIZE_OFFSET, Long.BYTES)
        .field("offset", OFFSET_OFFSET, Long.BYTES)
        .text();
  }
}

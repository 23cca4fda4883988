package io.virtnvme.ipc.vfiouser;

import io.virtnvme.ipc.memory.LayoutText;
import io.virtnvme.ipc.memory.LittleEndian;

/**
 * Capability behind {@link RegionInfo}: which parts of a region can be mapped ("VFIO region info
 * cap sparse mmap"); here always one part. Methods take the whole message. Any thread.
 *
 * <pre>
 *  +---------------+---------------+-------------------------------+
 *  |      id       |    version    |     next (0 = the last)       |
 *  +---------------+---------------+-------------------------------+  8
 *  |          area count           |           reserved            |
 *  +-------------------------------+-------------------------------+ 16
 *  |                        area offset                            |
 *  +---------------------------------------------------------------+ 24
 *  |                         area size                             |
 *  +---------------------------------------------------------------+ 32
 * </pre>
 */
public final class SparseMmap {
  public static final int ID_OFFSET = 0;
  public static final int VERSION_OFFSET = ID_OFFSET + Short.BYTES;
  public static final int NEXT_OFFSET = VERSION_OFFSET + Short.BYTES;
  public static final int AREA_COUNT_OFFSET = NEXT_OFFSET + Integer.BYTES;
  public static final int RESERVED_OFFSET = AREA_COUNT_OFFSET + Integer.BYTES;
  public static final int AREA_OFFSET_OFFSET = RESERVED_OFFSET + Integer.BYTES;
  public static final int AREA_SIZE_OFFSET = AREA_OFFSET_OFFSET + Long.BYTES;
  public static final int LENGTH = AREA_SIZE_OFFSET + Long.BYTES;

  /** VFIO's number of this capability. */
  public static final int ID = 1;

  public static final int VERSION = 1;

  private static final int BASE = VfioUserMessage.PAYLOAD_OFFSET;

  private SparseMmap() {}

  /**
   * Fills the capability.
   *
   * @param capOffset where it begins, from the begin of the payload
   */
  public static void put(
      final byte[] message, final int capOffset, final long areaOffset, final long areaSize) {
    final int base = BASE + capOffset;
    LittleEndian.putShort(message, base + ID_OFFSET, ID);
    LittleEndian.putShort(message, base + VERSION_OFFSET, VERSION);
    LittleEndian.putInt(message, base + NEXT_OFFSET, 0);
    LittleEndian.putInt(message, base + AREA_COUNT_OFFSET, 1);
    LittleEndian.putLong(message, base + AREA_OFFSET_OFFSET, areaOffset);
    LittleEndian.putLong(message, base + AREA_SIZE_OFFSET, areaSize);
  }

  public static int id(final byte[] message, final int capOffset) {
    return LittleEndian.getUnsignedShort(message, BASE + capOffset + ID_OFFSET);
  }

  public static int areaCount(final byte[] message, final int capOffset) {
    return LittleEndian.getInt(message, BASE + capOffset + AREA_COUNT_OFFSET);
  }

  public static long areaOffset(final byte[] message, final int capOffset) {
    return LittleEndian.getLong(message, BASE + capOffset + AREA_OFFSET_OFFSET);
  }

  public static long areaSize(final byte[] message, final int capOffset) {
    return LittleEndian.getLong(message, BASE + capOffset + AREA_SIZE_OFFSET);
  }

  /** Name, offset and length of every field, as pinned by the golden test. */
  public static String describe() {
    return LayoutText.of("sparse mmap", LENGTH)
        .field("id", ID_OFFSET, Short.BYTES)
        .field("version", VERSION_OFFSET, Short.BYTES)
        .field("next", NEXT_OFFSET, Integer.BYTES)
        .field("area count", AREA_COUNT_OFFSET, Integer.BYTES)
        .field("reserved", RESERVED_OFFSET, Integer.BYTES)
        .field("area offset", AREA_OFFSET_OFFSET, Long.BYTES)
        .field("area size", AREA_SIZE_OFFSET, Long.BYTES)
        .text();
  }
}

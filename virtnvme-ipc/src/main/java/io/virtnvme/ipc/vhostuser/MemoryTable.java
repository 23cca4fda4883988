package io.virtnvme.ipc.vhostuser;

import io.virtnvme.ipc.memory.LittleEndian;

/**
 * Payloads of SET_MEM_TABLE ("Multiple Memory regions description") and of ADD_MEM_REG and
 * REM_MEM_REG ("Single memory region description"). Both begin with eight bytes, then come regions.
 * Methods take the whole message. Any thread.
 *
 * <pre>
 *  +-------------------------------+-------------------------------+
 *  | count (single region: zero)   |            padding            |
 *  +-------------------------------+-------------------------------+  8, then count times
 *  |                        guest address                          |
 *  +---------------------------------------------------------------+ +8
 *  |                            size                               |
 *  +---------------------------------------------------------------+ +16
 *  |                        user address                           |
 *  +---------------------------------------------------------------+ +24
 *  |                         mmap offset                           |
 *  +---------------------------------------------------------------+ +32
 * </pre>
 */
public final class MemoryTable {
  public static final int COUNT_OFFSET = 0;
  public static final int PADDING_OFFSET = COUNT_OFFSET + Integer.BYTES;
  public static final int REGIONS_OFFSET = PADDING_OFFSET + Integer.BYTES;

  /** Offsets inside one region. */
  public static final int REGION_GUEST_ADDRESS_OFFSET = 0;

  public static final int REGION_SIZE_OFFSET = REGION_GUEST_ADDRESS_OFFSET + Long.BYTES;
  public static final int REGION_USER_ADDRESS_OFFSET = REGION_SIZE_OFFSET + Long.BYTES;
  public static final int REGION_MMAP_OFFSET_OFFSET = REGION_USER_ADDRESS_OFFSET + Long.BYTES;
  public static final int REGION_LENGTH = REGION_MMAP_OFFSET_OFFSET + Long.BYTES;

  /** Length of ADD_MEM_REG's and REM_MEM_REG's payload. */
  public static final int SINGLE_LENGTH = REGIONS_OFFSET + REGION_LENGTH;

  private MemoryTable() {}

  /** Length of SET_MEM_TABLE's payload. */
  public static int length(final int regionCount) {
    return REGIONS_OFFSET + regionCount * REGION_LENGTH;
  }

  /** How many regions SET_MEM_TABLE says it has. */
  public static int count(final byte[] message) {
    return LittleEndian.getInt(message, VhostUserMessage.PAYLOAD_OFFSET + COUNT_OFFSET);
  }

  public static void putCount(final byte[] message, final int count) {
    LittleEndian.putInt(message, VhostUserMessage.PAYLOAD_OFFSET + COUNT_OFFSET, count);
  }

  private static int region(final int index) {
    return VhostUserMessage.PAYLOAD_OFFSET + REGIONS_OFFSET + index * REGION_LENGTH;
  }

  public static long guestAddress(final byte[] message, final int index) {
    return LittleEndian.getLong(message, region(index) + REGION_GUEST_ADDRESS_OFFSET);
  }

  /** Length of the region in bytes. */
  public static long size(final byte[] message, final int index) {
    return LittleEndian.getLong(message, region(index) + REGION_SIZE_OFFSET);
  }

  public static long userAddress(final byte[] message, final int index) {
    return LittleEndian.getLong(message, region(index) + REGION_USER_ADDRESS_OFFSET);
  }

  /** Where the region begins in its file. */
  public static long mmapOffset(final byte[] message, final int index) {
    return LittleEndian.getLong(message, region(index) + REGION_MMAP_OFFSET_OFFSET);
  }

  /** Fills one region; ADD_MEM_REG and REM_MEM_REG have the one with index 0. */
  public static void putRegion(
      final byte[] message,
      final int index,
      final long guestAddress,
      final long size,
      final long userAddress,
      final long mmapOffset) {
    LittleEndian.putLong(message, region(index) + REGION_GUEST_ADDRESS_OFFSET, guestAddress);
    LittleEndian.putLong(message, region(index) + REGION_SIZE_OFFSET, size);
    LittleEndian.putLong(message, region(index) + REGION_USER_ADDRESS_OFFSET, userAddress);
    LittleEndian.putLong(message, region(index) + REGION_MMAP_OFFSET_OFFSET, mmapOffset);
  }

  /** Name, offset and length of every field, as pinned by the golden test. */
  public static String describe() {
    return Field.structure(
            "memory table",
            REGIONS_OFFSET,
            new Field("count", COUNT_OFFSET, Integer.BYTES),
            new Field("padding", PADDING_OFFSET, Integer.BYTES))
        + Field.structure(
            "memory region",
            REGION_LENGTH,
            new Field("guest address", REGION_GUEST_ADDRESS_OFFSET, Long.BYTES),
            new Field("size", REGION_SIZE_OFFSET, Long.BYTES),
            new Field("user address", REGION_USER_ADDRESS_OFFSET, Long.BYTES),
            new Field("mmap offset", REGION_MMAP_OFFSET_OFFSET, Long.BYTES));
  }
}

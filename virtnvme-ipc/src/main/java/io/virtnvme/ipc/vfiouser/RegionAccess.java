package io.virtnvme.ipc.vfiouser;

import io.virtnvme.ipc.memory.LayoutText;
import io.virtnvme.ipc.memory.LittleEndian;

/**
 * Payload of REGION_READ and REGION_WRITE, and of their replies ("Read and Write Operations"); data
 * follows. Methods take the whole message. Any thread.
 *
 * <pre>
 *  +---------------------------------------------------------------+
 *  |                             offset                            |
 *  +---------------------------------------------------------------+  8
 *  |             region            |             count             |
 *  +---------------------------------------------------------------+ 16
 *  |                            data ...                           |
 * </pre>
 */
public final class RegionAccess {
  public static final int OFFSET_OFFSET = 0;
  public static final int REGION_OFFSET = OFFSET_OFFSET + Long.BYTES;
  public static final int COUNT_OFFSET = REGION_OFFSET + Integer.BYTES;

  /** Length without the data. */
  public static final int LENGTH = COUNT_OFFSET + Integer.BYTES;

  /** Where the data begins in the message. */
  public static final int DATA_OFFSET = VfioUserMessage.PAYLOAD_OFFSET + LENGTH;

  private static final int BASE = VfioUserMessage.PAYLOAD_OFFSET;

  private RegionAccess() {}

  /** In the region, unsigned. */
  public static long offset(final byte[] message) {
    return LittleEndian.getLong(message, BASE + OFFSET_OFFSET);
  }

  public static int region(final byte[] message) {
    return LittleEndian.getInt(message, BASE + REGION_OFFSET);
  }

  /** Bytes, unsigned. */
  public static int count(final byte[] message) {
    return LittleEndian.getInt(message, BASE + COUNT_OFFSET);
  }

  /** Fills the fields. */
  public static void put(
      final byte[] message, final long offset, final int region, final int count) {
    LittleEndian.putLong(message, BASE + OFFSET_OFFSET, offset);
    LittleEndian.putInt(message, BASE + REGION_OFFSET, region);
    LittleEndian.putInt(message, BASE + COUNT_OFFSET, count);
  }

  /** Name, offset and length of every field, as pinned by the golden test. */
  public static String describe() {
    return LayoutText.of("region access", LENGTH)
        .field("offset", OFFSET_OFFSET, Long.BYTES)
        .field("region", REGION_OFFSET, Integer.BYTES)
        .field("count", COUNT_OFFSET, Integer.BYTES)
        .text();
  }
}

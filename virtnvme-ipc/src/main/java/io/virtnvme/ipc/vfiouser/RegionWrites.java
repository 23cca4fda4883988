package io.virtnvme.ipc.vfiouser;

import io.virtnvme.ipc.memory.LayoutText;
import io.virtnvme.ipc.memory.LittleEndian;

/**
 * Payload of REGION_WRITE_MULTI ("VFIO_USER_REGION_WRITE_MULTI"): a count, then writes of at most
 * eight bytes each. The reply has the count alone. Methods take the whole message. Any thread.
 *
 * <pre>
 *  +---------------------------------------------------------------+
 *  |                        write count                            |
 *  +---------------------------------------------------------------+  8, and so on for each write
 *  |                           offset                              |
 *  +-------------------------------+-------------------------------+ +8
 *  |            region             |             count             |
 *  +-------------------------------+-------------------------------+ +16
 *  |                            data                               |
 *  +---------------------------------------------------------------+ +24
 * </pre>
 */
public final class RegionWrites {
  public static final int WRITE_COUNT_OFFSET = 0;
  public static final int WRITES_OFFSET = WRITE_COUNT_OFFSET + Long.BYTES;

  public static final int OFFSET_OFFSET = 0;
  public static final int REGION_OFFSET = OFFSET_OFFSET + Long.BYTES;
  public static final int COUNT_OFFSET = REGION_OFFSET + Integer.BYTES;
  public static final int DATA_OFFSET = COUNT_OFFSET + Integer.BYTES;
  public static final int WRITE_LENGTH = DATA_OFFSET + Long.BYTES;

  /** Length of the reply's payload. */
  public static final int REPLY_LENGTH = WRITES_OFFSET;

  private static final int BASE = VfioUserMessage.PAYLOAD_OFFSET;

  private RegionWrites() {}

  /** Payload length for so many writes. */
  public static int length(final int writeCount) {
    return WRITES_OFFSET + writeCount * WRITE_LENGTH;
  }

  /** What the message says; unsigned, the array may be shorter or longer. */
  public static long writeCount(final byte[] message) {
    return LittleEndian.getLong(message, BASE + WRITE_COUNT_OFFSET);
  }

  public static void putWriteCount(final byte[] message, final long writeCount) {
    LittleEndian.putLong(message, BASE + WRITE_COUNT_OFFSET, writeCount);
  }

  private static int write(final int index) {
    return BASE + WRITES_OFFSET + index * WRITE_LENGTH;
  }

  public static long offset(final byte[] message, final int index) {
    return LittleEndian.getLong(message, write(index) + OFFSET_OFFSET);
  }

  public static int region(final byte[] message, final int index) {
    return LittleEndian.getInt(message, write(index) + REGION_OFFSET);
  }

  /** Bytes to write, unsigned; more than eight cannot be meant. */
  public static int count(final byte[] message, final int index) {
    return LittleEndian.getInt(message, write(index) + COUNT_OFFSET);
  }

  /** Where the data of a write begins in the message. */
  public static int dataOffset(final int index) {
    return write(index) + DATA_OFFSET;
  }

  /** Fills one write. */
  public static void put(
      final byte[] message,
      final int index,
      final long offset,
      final int region,
      final int count,
      final long data) {
    LittleEndian.putLong(message, write(index) + OFFSET_OFFSET, offset);
    LittleEndian.putInt(message, write(index) + REGION_OFFSET, region);
    LittleEndian.putInt(message, write(index) + COUNT_OFFSET, count);
    LittleEndian.putLong(message, write(index) + DATA_OFFSET, data);
  }

  /** Name, offset and length of every field, as pinned by the golden test. */
  public static String describe() {
    return LayoutText.of("region writes", WRITES_OFFSET)
            .field("write count", WRITE_COUNT_OFFSET, Long.BYTES)
            .text()
        + LayoutText.of("region write", WRITE_LENGTH)
            .field("offset", OFFSET_OFFSET, Long.BYTES)
            .field("region", REGION_OFFSET, Integer.BYTES)
            .field("count", COUNT_OFFSET, Integer.BYTES)
            .field("data", DATA_OFFSET, Long.BYTES)
            .text();
  }
}

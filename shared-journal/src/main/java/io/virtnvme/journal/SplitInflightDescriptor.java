package io.virtnvme.journal;

/**
 * Layout of the region of one split virtqueue, version 1, little endian ({@code QueueRegionSplit}
 * of the vhost-user specification, "Inflight I/O tracking"). The back-end writes it; the front-end
 * only keeps the memory alive, but shares it, so what is read back is not to be trusted.
 *
 * <pre>
 *  0                   1                   2                   3
 *  0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
 *  +---------------------------------------------------------------+  0
 *  |                           features                            |
 *  |                                                               |
 *  +-------------------------------+-------------------------------+  8
 *  |            version            |           desc_num            |
 *  +-------------------------------+-------------------------------+ 12
 *  |        last_batch_head        |           used_idx            |
 *  +-------------------------------+-------------------------------+ 16, then desc_num times
 *  |   inflight    |                 padding                       |
 *  +---------------+---------------+-------------------------------+ +4
 *  |            padding            |             next              |
 *  +-------------------------------+-------------------------------+ +8
 *  |                            counter                            |
 *  |                                                               |
 *  +---------------------------------------------------------------+ +16
 * </pre>
 */
public final class SplitInflightDescriptor {
  /** The one version that exists; zero means that nobody has initialised the region. */
  public static final int VERSION = 1;

  public static final int FEATURES_OFFSET = 0;
  public static final int VERSION_OFFSET = FEATURES_OFFSET + Long.BYTES;
  public static final int DESC_NUM_OFFSET = VERSION_OFFSET + Short.BYTES;
  public static final int LAST_BATCH_HEAD_OFFSET = DESC_NUM_OFFSET + Short.BYTES;
  public static final int USED_IDX_OFFSET = LAST_BATCH_HEAD_OFFSET + Short.BYTES;
  public static final int HEADER_LENGTH = USED_IDX_OFFSET + Short.BYTES;

  /** Offsets inside one entry. */
  public static final int ENTRY_INFLIGHT_OFFSET = 0;

  public static final int ENTRY_PADDING_OFFSET = ENTRY_INFLIGHT_OFFSET + Byte.BYTES;
  public static final int ENTRY_PADDING_LENGTH = 5;
  public static final int ENTRY_NEXT_OFFSET = ENTRY_PADDING_OFFSET + ENTRY_PADDING_LENGTH;
  public static final int ENTRY_COUNTER_OFFSET = ENTRY_NEXT_OFFSET + Short.BYTES;
  public static final int ENTRY_LENGTH = ENTRY_COUNTER_OFFSET + Long.BYTES;

  private SplitInflightDescriptor() {}

  /** Name, offset and length of every field, as pinned by the golden test. */
  public static String describe() {
    final StringBuilder text = new StringBuilder();
    Field.appendStructure(
        text,
        "split inflight region, version " + VERSION + ", header",
        HEADER_LENGTH,
        new Field("features", FEATURES_OFFSET, Long.BYTES),
        new Field("version", VERSION_OFFSET, Short.BYTES),
        new Field("desc_num", DESC_NUM_OFFSET, Short.BYTES),
        new Field("last_batch_head", LAST_BATCH_HEAD_OFFSET, Short.BYTES),
        new Field("used_idx", USED_IDX_OFFSET, Short.BYTES));
    Field.appendStructure(
        text,
        "entry, desc_num times",
        ENTRY_LENGTH,
        new Field("inflight", ENTRY_INFLIGHT_OFFSET, Byte.BYTES),
        new Field("padding", ENTRY_PADDING_OFFSET, ENTRY_PADDING_LENGTH),
        new Field("next", ENTRY_NEXT_OFFSET, Short.BYTES),
        new Field("counter", ENTRY_COUNTER_OFFSET, Long.BYTES));
    return text.toString();
  }
}

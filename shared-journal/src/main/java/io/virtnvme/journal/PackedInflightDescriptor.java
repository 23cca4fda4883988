package io.virtnvme.journal;

/**
 * Layout of the region of one packed virtqueue, version 1, little endian ({@code QueueRegionPacked}
 * of the vhost-user specification, "Inflight I/O tracking"). The header's named fields end at byte
 * 29; its entries hold 64-bit words, so the first one begins at 32.
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
 *  |           free_head           |         old_free_head         |
 *  +-------------------------------+-------------------------------+ 16
 *  |           used_idx            |         old_used_idx          |
 *  +---------------+---------------+-------------------------------+ 20
 *  | used_wrap_ctr | old_used_wrap |            padding            |
 *  +---------------+---------------+-------------------------------+ 24
 *  |                            padding                            |
 *  |                                                               |
 *  +---------------+---------------+-------------------------------+ 32, then desc_num times
 *  |   inflight    |    padding    |             next              |
 *  +---------------+---------------+-------------------------------+ +4
 *  |             last              |              num              |
 *  +-------------------------------+-------------------------------+ +8
 *  |                            counter                            |
 *  |                                                               |
 *  +-------------------------------+-------------------------------+ +16
 *  |              id               |             flags             |
 *  +-------------------------------+-------------------------------+ +20
 *  |                              len                              |
 *  +---------------------------------------------------------------+ +24
 *  |                             addr                              |
 *  |                                                               |
 *  +---------------------------------------------------------------+ +32
 * </pre>
 *
 * Three groups are aligned words, which this back-end stores at once, so that no crash can part
 * them: {@code free_head} with {@code old_free_head} (32 bits at 12), the four used fields (64 bits
 * at 16), and {@code inflight, next, last, num} of an entry (64 bits).
 */
public final class PackedInflightDescriptor {
  /** The one version that exists; zero means that nobody has initialised the region. */
  public static final int VERSION = 1;

  public static final int FEATURES_OFFSET = 0;
  public static final int VERSION_OFFSET = FEATURES_OFFSET + Long.BYTES;
  public static final int DESC_NUM_OFFSET = VERSION_OFFSET + Short.BYTES;
  public static final int FREE_HEAD_OFFSET = DESC_NUM_OFFSET + Short.BYTES;
  public static final int OLD_FREE_HEAD_OFFSET = FREE_HEAD_OFFSET + Short.BYTES;
  public static final int USED_IDX_OFFSET = OLD_FREE_HEAD_OFFSET + Short.BYTES;
  public static final int OLD_USED_IDX_OFFSET = USED_IDX_OFFSET + Short.BYTES;
  public static final int USED_WRAP_COUNTER_OFFSET = OLD_USED_IDX_OFFSET + Short.BYTES;
  public static final int OLD_USED_WRAP_COUNTER_OFFSET = USED_WRAP_COUNTER_OFFSET + Byte.BYTES;
  public static final int PADDING_OFFSET = OLD_USED_WRAP_COUNTER_OFFSET + Byte.BYTES;
  public static final int PADDING_LENGTH = 7;

  /** Where the entries begin: the padding's end, aligned to the entries' 64-bit words. */
  public static final int HEADER_LENGTH =
      (PADDING_OFFSET + PADDING_LENGTH + Long.BYTES - 1) / Long.BYTES * Long.BYTES;

  /** Offsets inside one entry. */
  public static final int ENTRY_INFLIGHT_OFFSET = 0;

  public static final int ENTRY_PADDING_OFFSET = ENTRY_INFLIGHT_OFFSET + Byte.BYTES;
  public static final int ENTRY_NEXT_OFFSET = ENTRY_PADDING_OFFSET + Byte.BYTES;
  public static final int ENTRY_LAST_OFFSET = ENTRY_NEXT_OFFSET + Short.BYTES;
  public static final int ENTRY_NUM_OFFSET = ENTRY_LAST_OFFSET + Short.BYTES;
  public static final int ENTRY_COUNTER_OFFSET = ENTRY_NUM_OFFSET + Short.BYTES;
  public static final int ENTRY_ID_OFFSET = ENTRY_COUNTER_OFFSET + Long.BYTES;
  public static final int ENTRY_FLAGS_OFFSET = ENTRY_ID_OFFSET + Short.BYTES;
  public static final int ENTRY_LEN_OFFSET = ENTRY_FLAGS_OFFSET + Short.BYTES;
  public static final int ENTRY_ADDR_OFFSET = ENTRY_LEN_OFFSET + Integer.BYTES;
  public static final int ENTRY_LENGTH = ENTRY_ADDR_OFFSET + Long.BYTES;

  private PackedInflightDescriptor() {}

  /** Name, offset and length of every field, as pinned by the golden test. */
  public static String describe() {
    final StringBuilder text = new StringBuilder();
    Field.appendStructure(
        text,
        "packed inflight region, version " + VERSION + ", header",
        HEADER_LENGTH,
        new Field("features", FEATURES_OFFSET, Long.BYTES),
        new Field("version", VERSION_OFFSET, Short.BYTES),
        new Field("desc_num", DESC_NUM_OFFSET, Short.BYTES),
        new Field("free_head", FREE_HEAD_OFFSET, Short.BYTES),
        new Field("old_free_head", OLD_FREE_HEAD_OFFSET, Short.BYTES),
        new Field("used_idx", USED_IDX_OFFSET, Short.BYTES),
        new Field("old_used_idx", OLD_USED_IDX_OFFSET, Short.BYTES),
        new Field("used_wrap_counter", USED_WRAP_COUNTER_OFFSET, Byte.BYTES),
        new Field("old_used_wrap_counter", OLD_USED_WRAP_COUNTER_OFFSET, Byte.BYTES),
        new Field("padding", PADDING_OFFSET, PADDING_LENGTH));
    Field.appendStructure(
        text,
        "entry, desc_num times",
        ENTRY_LENGTH,
        new Field("inflight", ENTRY_INFLIGHT_OFFSET, Byte.BYTES),
        new Field("padding", ENTRY_PADDING_OFFSET, Byte.BYTES),
        new Field("next", ENTRY_NEXT_OFFSET, Short.BYTES),
        new Field("last", ENTRY_LAST_OFFSET, Short.BYTES),
        new Field("num", ENTRY_NUM_OFFSET, Short.BYTES),
        new Field("counter", ENTRY_COUNTER_OFFSET, Long.BYTES),
        new Field("id", ENTRY_ID_OFFSET, Short.BYTES),
        new Field("flags", ENTRY_FLAGS_OFFSET, Short.BYTES),
        new Field("len", ENTRY_LEN_OFFSET, Integer.BYTES),
        new Field("addr", ENTRY_ADDR_OFFSET, Long.BYTES));
    return text.toString();
  }
}

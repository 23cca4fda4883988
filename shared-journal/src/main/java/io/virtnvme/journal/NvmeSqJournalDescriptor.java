package io.virtnvme.journal;

import io.virtnvme.ipc.nvme.SubmissionEntry;

/**
 * Layout of the journal of one NVMe submission queue, version 1, little endian: what has been
 * fetched from the guest's queue and is not completed. The reactor that owns the queue writes it;
 * it lies in memory that only slaves and master share, but is not believed on recovery.
 *
 * <p>The header, the bitmap and each slot begin on a line of their own.
 *
 * <pre>
 *  0                   1                   2                   3
 *  0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
 *  +---------------------------------------------------------------+  0
 *  |                            version                            |  last word of initialise
 *  +---------------------------------------------------------------+  4
 *  |                          queue_size                           |
 *  +---------------------------------------------------------------+  8
 *  |                           creation                            |  which queue of this id
 *  |                                                               |
 *  +---------------------------------------------------------------+ 16
 *  |                            fetched                            |  commit word of a fetch;
 *  |                                                               |  SQ head = fetched % size
 *  +---------------------------------------------------------------+ 24
 *  |                            padding                            |
 *  +---------------------------------------------------------------+ 64
 *  |       inflight: one bit per slot, words of 64, slot 0 in      |
 *  |       bit 0; as many lines as queue_size bits need            |
 *  +---------------------------------------------------------------+ then queue_size times a slot
 *  |            command: the submission queue entry as             |
 *  |            it was when it was fetched                         |
 *  +---------------------------------------------------------------+ +64
 *  |                            number                             |  absolute number of the fetch
 *  |                                                               |
 *  +---------------------------------------------------------------+ +72
 *  |                       intent, low half                        |  see below
 *  +-+-----------------------------+-------------------------------+
 *  |                       intent, high half                       |
 *  +---------------------------------------------------------------+ +80
 *  |                            result                             |  dword 0 of the completion
 *  +---------------------------------------------------------------+ +84
 *  |                            padding                            |
 *  +---------------------------------------------------------------+ +128
 *
 *  intent    bit 63 is 1, bits 62:48 the status field (as in bits 31:17 of dword 3 of the completion
 *            queue entry), bits 47:0 the lower bits of the absolute index in the completion queue;
 *            the whole word is 0 when nothing was decided yet
 * </pre>
 */
public final class NvmeSqJournalDescriptor {
  /** The one version that exists; zero means that nobody has initialised the region. */
  public static final int VERSION = 1;

  public static final int VERSION_OFFSET = 0;
  public static final int QUEUE_SIZE_OFFSET = VERSION_OFFSET + Integer.BYTES;
  public static final int CREATION_OFFSET = QUEUE_SIZE_OFFSET + Integer.BYTES;
  public static final int FETCHED_OFFSET = CREATION_OFFSET + Long.BYTES;
  public static final int HEADER_PADDING_OFFSET = FETCHED_OFFSET + Long.BYTES;
  public static final int HEADER_PADDING_LENGTH = 40;
  public static final int HEADER_LENGTH = HEADER_PADDING_OFFSET + HEADER_PADDING_LENGTH;

  /** Offset of the bitmap in the region. */
  public static final int INFLIGHT_OFFSET = HEADER_LENGTH;

  /** The bitmap's length is a multiple of this. */
  public static final int LINE_LENGTH = 64;

  /** Offsets inside one slot. */
  public static final int SLOT_COMMAND_OFFSET = 0;

  public static final int SLOT_COMMAND_LENGTH = SubmissionEntry.ENTRY_LENGTH;
  public static final int SLOT_NUMBER_OFFSET = SLOT_COMMAND_OFFSET + SLOT_COMMAND_LENGTH;
  public static final int SLOT_INTENT_OFFSET = SLOT_NUMBER_OFFSET + Long.BYTES;
  public static final int SLOT_RESULT_OFFSET = SLOT_INTENT_OFFSET + Long.BYTES;
  public static final int SLOT_PADDING_OFFSET = SLOT_RESULT_OFFSET + Integer.BYTES;
  public static final int SLOT_PADDING_LENGTH = 44;
  public static final int SLOT_LENGTH = SLOT_PADDING_OFFSET + SLOT_PADDING_LENGTH;

  /** The intent word of a slot about which nothing was decided. */
  static final long NO_INTENT = 0;

  static final int STATUS_MASK = 0x7FFF;

  private static final long INTENT_MASK = 1L << 63;
  private static final int STATUS_SHIFT = 48;
  private static final int INDEX_UNUSED_BITS = Long.SIZE - STATUS_SHIFT;
  private static final long INDEX_MASK = (1L << STATUS_SHIFT) - 1;

  private NvmeSqJournalDescriptor() {}

  /**
   * The intent word.
   *
   * @param index absolute index in the completion queue; its lower 48 bits count
   * @param status status field, 15 bits
   */
  static long intent(final long index, final int status) {
    return INTENT_MASK | ((long) (status & STATUS_MASK) << STATUS_SHIFT) | (index & INDEX_MASK);
  }

  static boolean isIntent(final long intent) {
    return (intent & INTENT_MASK) != 0;
  }

  /** The lower 48 bits of the index. */
  static long intentIndex(final long intent) {
    return intent & INDEX_MASK;
  }

  static int intentStatus(final long intent) {
    return (int) (intent >>> STATUS_SHIFT) & STATUS_MASK;
  }

  /** How far the index of an intent is ahead of {@code index}; negative if behind. */
  static long intentDistance(final long intent, final long index) {
    return (intent - index) << INDEX_UNUSED_BITS >> INDEX_UNUSED_BITS;
  }

  /** Bytes of the bitmap, whole lines. */
  static int inflightLength(final int queueSize) {
    final int bytes = (queueSize + Byte.SIZE - 1) / Byte.SIZE;
    return (bytes + LINE_LENGTH - 1) & -LINE_LENGTH;
  }

  /** Offset of slot 0 in the region. */
  static int slotsOffset(final int queueSize) {
    return INFLIGHT_OFFSET + inflightLength(queueSize);
  }

  /** Name, offset and length of every field, as pinned by the golden test. */
  public static String describe() {
    final StringBuilder text = new StringBuilder();
    Field.appendStructure(
        text,
        "NVMe submission queue journal, version " + VERSION + ", header",
        HEADER_LENGTH,
        new Field("version", VERSION_OFFSET, Integer.BYTES),
        new Field("queue_size", QUEUE_SIZE_OFFSET, Integer.BYTES),
        new Field("creation", CREATION_OFFSET, Long.BYTES),
        new Field("fetched", FETCHED_OFFSET, Long.BYTES),
        new Field("padding", HEADER_PADDING_OFFSET, HEADER_PADDING_LENGTH));
    Field.appendStructure(
        text,
        "inflight, one bit per slot, as many lines as needed",
        LINE_LENGTH,
        new Field("inflight", 0, LINE_LENGTH));
    Field.appendStructure(
        text,
        "slot, queue_size times",
        SLOT_LENGTH,
        new Field("command", SLOT_COMMAND_OFFSET, SLOT_COMMAND_LENGTH),
        new Field("number", SLOT_NUMBER_OFFSET, Long.BYTES),
        new Field("intent", SLOT_INTENT_OFFSET, Long.BYTES),
        new Field("result", SLOT_RESULT_OFFSET, Integer.BYTES),
        new Field("padding", SLOT_PADDING_OFFSET, SLOT_PADDING_LENGTH));
    return text.toString();
  }
}

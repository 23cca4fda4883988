package io.virtnvme.slave.nvme;

import io.virtnvme.ipc.memory.LayoutText;
import io.virtnvme.ipc.segment.SessionSegment;
import io.virtnvme.journal.NvmeCqJournal;
import io.virtnvme.journal.NvmeSqJournal;

/**
 * Layout of a controller area, version 1, little endian: what outlives the slave of one NVMe
 * session. A sealed memfd that only slaves and master share; sparse, since most queues do not
 * exist.
 *
 * <pre>
 *  0        +-------------------------------+
 *           | magic "vnvmctrl"              |
 *  8        +---------------+---------------+
 *           | version       | queue count   |   ids 0..count-1; 0 is the admin queue
 *  16       +---------------+---------------+
 *           | generation                    |   which session
 *  24       +-------------------------------+
 *           | padding                       |
 *  64       +---------------+---------------+
 *           | image number  | queue table   |   the commit word: see below
 *  72       +---------------+---------------+
 *           | padding                       |
 *  4096     +-------------------------------+
 *           | counters of queue 0, 1, ...   |   128 bytes each: SessionSegment.QueueCounter
 *  24576    +-------------------------------+
 *           | image slot 0                  |
 *  94208    +-------------------------------+
 *           | image slot 1                  |
 *  163840   +-------------------------------+
 *           | CQ journals, 64 bytes each    |
 *  176128   +-------------------------------+
 *           | SQ journal 0                  |   room for 4096 entries
 *  704512   +-------------------------------+
 *           | SQ journals 1, 2, ...         |   room for 1024 entries each
 *           +-------------------------------+
 *
 *  an image slot:
 *  +0       +---------------+---------------+
 *           | image number  | length        |
 *  +8       +---------------+---------------+
 *           | checksum      | padding       |   CRC-32C of the image
 *  +64      +---------------+---------------+
 *           | image                         |   at most 64 KiB
 *           +-------------------------------+
 * </pre>
 *
 * <p><b>Commit word</b>: the lower half is the number of the image that counts, which lies in the
 * slot that its lowest bit names; 0 means none yet. The upper half changes with each image that
 * says something else about queues, so whoever prepared queues can tell whether they are out of
 * date. One store makes both valid. A death before it leaves the image before, in its own slot.
 */
public final class ControllerAreaDescriptor {
  /** "vnvmctrl" as a little-endian word. */
  static final long MAGIC = 0x6C72_7463_6D76_6E76L;

  /** The one version that exists. */
  public static final int VERSION = 1;

  /** The admin queue, and as many I/O queues as a controller may have. */
  public static final int QUEUE_COUNT = ControllerConfig.QUEUE_PAIRS_LIMIT + 1;

  static final int MAGIC_OFFSET = 0;
  static final int VERSION_OFFSET = MAGIC_OFFSET + Long.BYTES;
  static final int QUEUE_COUNT_OFFSET = VERSION_OFFSET + Integer.BYTES;
  static final int GENERATION_OFFSET = QUEUE_COUNT_OFFSET + Integer.BYTES;
  static final int HEADER_PADDING_OFFSET = GENERATION_OFFSET + Long.BYTES;
  static final int COMMIT_OFFSET = 64;
  static final int COUNTERS_OFFSET = 4096;

  static final int IMAGE_NUMBER_OFFSET = 0;
  static final int IMAGE_LENGTH_OFFSET = IMAGE_NUMBER_OFFSET + Integer.BYTES;
  static final int IMAGE_CHECKSUM_OFFSET = IMAGE_LENGTH_OFFSET + Integer.BYTES;
  static final int IMAGE_PADDING_OFFSET = IMAGE_CHECKSUM_OFFSET + Integer.BYTES;
  static final int IMAGE_HEADER_LENGTH = 64;

  private static final int PAGE_BYTES = 4096;

  static final int IMAGES_OFFSET =
      COUNTERS_OFFSET + roundUp(QUEUE_COUNT * SessionSegment.QUEUE_LENGTH, PAGE_BYTES);
  static final int IMAGE_SLOT_LENGTH =
      roundUp(IMAGE_HEADER_LENGTH + ControllerImage.LENGTH_MAX, PAGE_BYTES);
  static final int CQ_JOURNALS_OFFSET = IMAGES_OFFSET + 2 * IMAGE_SLOT_LENGTH;
  static final int CQ_JOURNAL_LENGTH = (int) NvmeCqJournal.regionLength();
  static final int ADMIN_SQ_JOURNAL_OFFSET =
      CQ_JOURNALS_OFFSET + roundUp(QUEUE_COUNT * CQ_JOURNAL_LENGTH, PAGE_BYTES);
  static final int ADMIN_SQ_JOURNAL_LENGTH =
      roundUp((int) NvmeSqJournal.regionLength(ControllerConfig.ADMIN_ENTRIES_LIMIT), PAGE_BYTES);
  static final int SQ_JOURNALS_OFFSET = ADMIN_SQ_JOURNAL_OFFSET + ADMIN_SQ_JOURNAL_LENGTH;
  static final int SQ_JOURNAL_LENGTH =
      roundUp((int) NvmeSqJournal.regionLength(ControllerConfig.QUEUE_ENTRIES_LIMIT), PAGE_BYTES);

  /** Bytes of an area. */
  public static final int LENGTH = SQ_JOURNALS_OFFSET + (QUEUE_COUNT - 1) * SQ_JOURNAL_LENGTH;

  private ControllerAreaDescriptor() {}

  private static int roundUp(final int value, final int unit) {
    return (value + unit - 1) / unit * unit;
  }

  static int countersOffset(final int queueId) {
    return COUNTERS_OFFSET + queueId * SessionSegment.QUEUE_LENGTH;
  }

  static int imageSlotOffset(final int imageNumber) {
    return IMAGES_OFFSET + (imageNumber & 1) * IMAGE_SLOT_LENGTH;
  }

  static int cqJournalOffset(final int queueId) {
    return CQ_JOURNALS_OFFSET + queueId * CQ_JOURNAL_LENGTH;
  }

  static int sqJournalOffset(final int queueId) {
    return queueId == 0
        ? ADMIN_SQ_JOURNAL_OFFSET
        : SQ_JOURNALS_OFFSET + (queueId - 1) * SQ_JOURNAL_LENGTH;
  }

  /** Offset, length and name of each field and part, as the golden test wants them. */
  public static String describe() {
    return LayoutText.of("controller area, version " + VERSION, LENGTH)
            .field("magic", MAGIC_OFFSET, Long.BYTES)
            .field("version", VERSION_OFFSET, Integer.BYTES)
            .field("queue_count", QUEUE_COUNT_OFFSET, Integer.BYTES)
            .field("generation", GENERATION_OFFSET, Long.BYTES)
            .field("padding", HEADER_PADDING_OFFSET, COMMIT_OFFSET - HEADER_PADDING_OFFSET)
            .field("commit", COMMIT_OFFSET, Long.BYTES)
            .field("counters", COUNTERS_OFFSET, QUEUE_COUNT * SessionSegment.QUEUE_LENGTH)
            .field("image slot 0", imageSlotOffset(0), IMAGE_SLOT_LENGTH)
            .field("image slot 1", imageSlotOffset(1), IMAGE_SLOT_LENGTH)
            .field("CQ journals", CQ_JOURNALS_OFFSET, QUEUE_COUNT * CQ_JOURNAL_LENGTH)
            .field("SQ journal 0", ADMIN_SQ_JOURNAL_OFFSET, ADMIN_SQ_JOURNAL_LENGTH)
            .field("SQ journal 1", SQ_JOURNALS_OFFSET, SQ_JOURNAL_LENGTH)
            .text()
        + LayoutText.of("image slot", IMAGE_SLOT_LENGTH)
            .field("image_number", IMAGE_NUMBER_OFFSET, Integer.BYTES)
            .field("length", IMAGE_LENGTH_OFFSET, Integer.BYTES)
            .field("checksum", IMAGE_CHECKSUM_OFFSET, Integer.BYTES)
            .field("padding", IMAGE_PADDING_OFFSET, IMAGE_HEADER_LENGTH - IMAGE_PADDING_OFFSET)
            .field("image", IMAGE_HEADER_LENGTH, ControllerImage.LENGTH_MAX)
            .text();
  }
}

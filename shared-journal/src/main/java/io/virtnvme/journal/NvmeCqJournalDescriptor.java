package io.virtnvme.journal;

/**
 * Layout of the journal of one NVMe completion queue, version 1, little endian: how many entries
 * have been published in it. One line. The reactor that owns the queue writes it; it lies in memory
 * that only slaves and master share, but is not believed on recovery.
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
 *  |                            posted                             |  commit word of a completion;
 *  |                                                               |  CQ tail = posted % size, phase
 *  +---------------------------------------------------------------+ 24  tag = 1 in even laps
 *  |                            padding                            |
 *  +---------------------------------------------------------------+ 64
 * </pre>
 */
public final class NvmeCqJournalDescriptor {
  /** The one version that exists; zero means that nobody has initialised the region. */
  public static final int VERSION = 1;

  public static final int VERSION_OFFSET = 0;
  public static final int QUEUE_SIZE_OFFSET = VERSION_OFFSET + Integer.BYTES;
  public static final int CREATION_OFFSET = QUEUE_SIZE_OFFSET + Integer.BYTES;
  public static final int POSTED_OFFSET = CREATION_OFFSET + Long.BYTES;
  public static final int PADDING_OFFSET = POSTED_OFFSET + Long.BYTES;
  public static final int PADDING_LENGTH = 40;
  public static final int LENGTH = PADDING_OFFSET + PADDING_LENGTH;

  private NvmeCqJournalDescriptor() {}

  /** Name, offset and length of every field, as pinned by the golden test. */
  public static String describe() {
    final StringBuilder text = new StringBuilder();
    Field.appendStructure(
        text,
        "NVMe completion queue journal, version " + VERSION,
        LENGTH,
        new Field("version", VERSION_OFFSET, Integer.BYTES),
        new Field("queue_size", QUEUE_SIZE_OFFSET, Integer.BYTES),
        new Field("creation", CREATION_OFFSET, Long.BYTES),
        new Field("posted", POSTED_OFFSET, Long.BYTES),
        new Field("padding", PADDING_OFFSET, PADDING_LENGTH));
    return text.toString();
  }
}

package io.virtnvme.ipc.nvme;

import io.virtnvme.ipc.memory.LayoutText;

/**
 * A range of Dataset Management, little endian (NVM command set specification 1.0, 3.2.3). The
 * driver writes it.
 *
 * <pre>
 *  0                   1                   2                   3
 *  0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
 *  +---------------------------------------------------------------+  0
 *  |                     Context attributes                        |
 *  +---------------------------------------------------------------+  4
 *  |                      Length in blocks                         |
 *  +---------------------------------------------------------------+  8
 *  |                     First logical block                       |
 *  |                                                               |
 *  +---------------------------------------------------------------+ 16
 * </pre>
 */
public final class DsmRange {
  public static final int ATTRIBUTES_OFFSET = 0;
  public static final int BLOCKS_OFFSET = ATTRIBUTES_OFFSET + Integer.BYTES;
  public static final int START_BLOCK_OFFSET = BLOCKS_OFFSET + Integer.BYTES;
  public static final int RANGE_LENGTH = START_BLOCK_OFFSET + Long.BYTES;

  /** Ranges of one command at most. */
  public static final int RANGES_MAX = 256;

  private DsmRange() {}

  /** Offset, length and name of each field, as the golden test wants them. */
  public static String describe() {
    return LayoutText.of("dataset management range", RANGE_LENGTH)
        .field("attributes", ATTRIBUTES_OFFSET, Integer.BYTES)
        .field("length", BLOCKS_OFFSET, Integer.BYTES)
        .field("slba", START_BLOCK_OFFSET, Long.BYTES)
        .text();
  }
}

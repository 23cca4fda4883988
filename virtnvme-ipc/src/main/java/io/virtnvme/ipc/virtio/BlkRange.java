package io.virtnvme.ipc.virtio;

import io.virtnvme.ipc.memory.LayoutText;

/**
 * One range of a DISCARD or WRITE_ZEROES request (virtio 1.2, 5.2.6), the data that the driver
 * writes for it.
 *
 * <pre>
 *  0                   1                   2                   3
 *  0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
 *  +---------------------------------------------------------------+  0
 *  |                 Sector (units of 512 bytes)                   |
 *  |                                                               |
 *  +---------------------------------------------------------------+  8
 *  |                     Number of sectors                         |
 *  +-+-------------------------------------------------------------+ 12
 *  |U|                       Reserved                              |   U = unmap, bit 0
 *  +-+-------------------------------------------------------------+ 16
 * </pre>
 */
public final class BlkRange {
  public static final int SECTOR_OFFSET = 0;
  public static final int NUM_SECTORS_OFFSET = SECTOR_OFFSET + Long.BYTES;
  public static final int FLAGS_OFFSET = NUM_SECTORS_OFFSET + Integer.BYTES;
  public static final int LENGTH = FLAGS_OFFSET + Integer.BYTES;

  /** WRITE_ZEROES only: the range may be deallocated. */
  public static final int FLAG_UNMAP = 1;

  private BlkRange() {}

  /** Offset, length and name of each field, as the golden test wants them. */
  public static String describe() {
    return LayoutText.of("virtio_blk_discard_write_zeroes", LENGTH)
        .field("sector", SECTOR_OFFSET, Long.BYTES)
        .field("num_sectors", NUM_SECTORS_OFFSET, Integer.BYTES)
        .field("flags", FLAGS_OFFSET, Integer.BYTES)
        .text();
  }
}

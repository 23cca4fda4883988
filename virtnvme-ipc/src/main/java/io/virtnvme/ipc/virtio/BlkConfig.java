package io.virtnvme.ipc.virtio;

import io.virtnvme.ipc.memory.LayoutText;

/**
 * Configuration space of a virtio-blk device (virtio 1.2, 5.2.4), little endian. The device writes
 * it; of the driver's stores only {@code writeback} means something.
 *
 * <pre>
 *  0                   1                   2                   3
 *  0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
 *  +---------------------------------------------------------------+  0
 *  |              Capacity (sectors of 512 bytes)                  |
 *  |                                                               |
 *  +---------------------------------------------------------------+  8
 *  |                          Size max                             |
 *  +---------------------------------------------------------------+ 12
 *  |                           Seg max                             |
 *  +-------------------------------+---------------+---------------+ 16
 *  |          Cylinders            |     Heads     |    Sectors    |
 *  +-------------------------------+---------------+---------------+ 20
 *  |                          Block size                           |
 *  +---------------+---------------+-------------------------------+ 24
 *  | Phys. blk exp | Align. offset |         Min I/O size          |
 *  +---------------+---------------+-------------------------------+ 28
 *  |                         Opt I/O size                          |
 *  +---------------+---------------+-------------------------------+ 32
 *  |   Writeback   |    Unused 0   |          Num queues           |
 *  +---------------+---------------+-------------------------------+ 36
 *  |                     Max discard sectors                       |
 *  +---------------------------------------------------------------+ 40
 *  |                       Max discard seg                         |
 *  +---------------------------------------------------------------+ 44
 *  |                  Discard sector alignment                     |
 *  +---------------------------------------------------------------+ 48
 *  |                   Max write zeroes sectors                    |
 *  +---------------------------------------------------------------+ 52
 *  |                     Max write zeroes seg                      |
 *  +---------------+-----------------------------------------------+ 56
 *  | WZ may unmap  |                   Unused 1                    |
 *  +---------------+-----------------------------------------------+ 60
 * </pre>
 *
 * The fields of secure erase and zones follow; nothing here offers them.
 */
public final class BlkConfig {
  public static final int CAPACITY_OFFSET = 0;
  public static final int SIZE_MAX_OFFSET = CAPACITY_OFFSET + Long.BYTES;
  public static final int SEG_MAX_OFFSET = SIZE_MAX_OFFSET + Integer.BYTES;
  public static final int CYLINDERS_OFFSET = SEG_MAX_OFFSET + Integer.BYTES;
  public static final int HEADS_OFFSET = CYLINDERS_OFFSET + Short.BYTES;
  public static final int SECTORS_OFFSET = HEADS_OFFSET + Byte.BYTES;
  public static final int BLK_SIZE_OFFSET = SECTORS_OFFSET + Byte.BYTES;
  public static final int PHYSICAL_BLOCK_EXP_OFFSET = BLK_SIZE_OFFSET + Integer.BYTES;
  public static final int ALIGNMENT_OFFSET_OFFSET = PHYSICAL_BLOCK_EXP_OFFSET + Byte.BYTES;
  public static final int MIN_IO_SIZE_OFFSET = ALIGNMENT_OFFSET_OFFSET + Byte.BYTES;
  public static final int OPT_IO_SIZE_OFFSET = MIN_IO_SIZE_OFFSET + Short.BYTES;
  public static final int WRITEBACK_OFFSET = OPT_IO_SIZE_OFFSET + Integer.BYTES;
  public static final int UNUSED0_OFFSET = WRITEBACK_OFFSET + Byte.BYTES;
  public static final int NUM_QUEUES_OFFSET = UNUSED0_OFFSET + Byte.BYTES;
  public static final int MAX_DISCARD_SECTORS_OFFSET = NUM_QUEUES_OFFSET + Short.BYTES;
  public static final int MAX_DISCARD_SEG_OFFSET = MAX_DISCARD_SECTORS_OFFSET + Integer.BYTES;
  public static final int DISCARD_SECTOR_ALIGNMENT_OFFSET = MAX_DISCARD_SEG_OFFSET + Integer.BYTES;
  public static final int MAX_WRITE_ZEROES_SECTORS_OFFSET =
      DISCARD_SECTOR_ALIGNMENT_OFFSET + Integer.BYTES;
  public static final int MAX_WRITE_ZEROES_SEG_OFFSET =
      MAX_WRITE_ZEROES_SECTORS_OFFSET + Integer.BYTES;
  public static final int WRITE_ZEROES_MAY_UNMAP_OFFSET =
      MAX_WRITE_ZEROES_SEG_OFFSET + Integer.BYTES;
  public static final int UNUSED1_OFFSET = WRITE_ZEROES_MAY_UNMAP_OFFSET + Byte.BYTES;
  public static final int UNUSED1_LENGTH = 3;
  public static final int LENGTH = UNUSED1_OFFSET + UNUSED1_LENGTH;

  private BlkConfig() {}

  /** Offset, length and name of each field, as the golden test wants them. */
  public static String describe() {
    return LayoutText.of("virtio_blk_config", LENGTH)
        .field("capacity", CAPACITY_OFFSET, Long.BYTES)
        .field("size_max", SIZE_MAX_OFFSET, Integer.BYTES)
        .field("seg_max", SEG_MAX_OFFSET, Integer.BYTES)
        .field("geometry.cylinders", CYLINDERS_OFFSET, Short.BYTES)
        .field("geometry.heads", HEADS_OFFSET, Byte.BYTES)
        .field("geometry.sectors", SECTORS_OFFSET, Byte.BYTES)
        .field("blk_size", BLK_SIZE_OFFSET, Integer.BYTES)
        .field("topology.physical_block_exp", PHYSICAL_BLOCK_EXP_OFFSET, Byte.BYTES)
        .field("topology.alignment_offset", ALIGNMENT_OFFSET_OFFSET, Byte.BYTES)
        .field("topology.min_io_size", MIN_IO_SIZE_OFFSET, Short.BYTES)
        .field("topology.opt_io_size", OPT_IO_SIZE_OFFSET, Integer.BYTES)
        .field("writeback", WRITEBACK_OFFSET, Byte.BYTES)
        .field("unused0", UNUSED0_OFFSET, Byte.BYTES)
        .field("num_queues", NUM_QUEUES_OFFSET, Short.BYTES)
        .field("max_discard_sectors", MAX_DISCARD_SECTORS_OFFSET, Integer.BYTES)
        .field("max_discard_seg", MAX_DISCARD_SEG_OFFSET, Integer.BYTES)
        .field("discard_sector_alignment", DISCARD_SECTOR_ALIGNMENT_OFFSET, Integer.BYTES)
        .field("max_write_zeroes_sectors", MAX_WRITE_ZEROES_SECTORS_OFFSET, Integer.BYTES)
        .field("max_write_zeroes_seg", MAX_WRITE_ZEROES_SEG_OFFSET, Integer.BYTES)
        .field("write_zeroes_may_unmap", WRITE_ZEROES_MAY_UNMAP_OFFSET, Byte.BYTES)
        .field("unused1", UNUSED1_OFFSET, UNUSED1_LENGTH)
        .text();
  }
}

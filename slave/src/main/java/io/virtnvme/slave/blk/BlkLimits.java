package io.virtnvme.slave.blk;

import io.virtnvme.ipc.virtio.BlkRequest;

/** What one request may ask for; the configuration space must say the same. */
public final class BlkLimits {
  /** Data segments of one request: seg_max. */
  public static final int SEG_MAX = 126;

  /** Bytes of one segment: size_max. */
  public static final int SIZE_MAX_BYTES = 1 << 20;

  /**
   * Bytes of one transfer, also of a driver that does not look at size_max (a reactor must not be
   * held up for long).
   */
  public static final long REQUEST_BYTES_MAX = (long) SEG_MAX * SIZE_MAX_BYTES;

  /** Ranges in one DISCARD: max_discard_seg. */
  public static final int DISCARD_SEG_MAX = 1;

  /** Ranges in one WRITE_ZEROES: max_write_zeroes_seg. */
  public static final int WRITE_ZEROES_SEG_MAX = 1;

  /**
   * Sectors of 512 bytes in one DISCARD: max_discard_sectors (a reactor must not be held up for
   * long).
   */
  public static final int DISCARD_SECTORS_MAX = (64 << 20) >> BlkRequest.SECTOR_SHIFT;

  /** Sectors of 512 bytes in one WRITE_ZEROES: max_write_zeroes_sectors. */
  public static final int WRITE_ZEROES_SECTORS_MAX = (16 << 20) >> BlkRequest.SECTOR_SHIFT;

  private BlkLimits() {}
}

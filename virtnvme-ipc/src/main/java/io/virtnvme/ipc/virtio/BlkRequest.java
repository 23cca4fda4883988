package io.virtnvme.ipc.virtio;

import io.virtnvme.ipc.memory.LayoutText;

/**
 * Request of a virtio-blk device (virtio 1.2, 5.2.6): header, data, one status byte. The driver
 * writes the header, the device the status; how they are cut into descriptors means nothing.
 *
 * <pre>
 *  0                   1                   2                   3
 *  0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
 *  +---------------------------------------------------------------+  0
 *  |                             Type                              |
 *  +---------------------------------------------------------------+  4
 *  |                           Reserved                            |
 *  +---------------------------------------------------------------+  8
 *  |                   Sector (units of 512 bytes)                 |
 *  |                                                               |
 *  +---------------------------------------------------------------+ 16
 *  |                 Data: any length, read or written            ...
 *  +---------------+-----------------------------------------------+
 *  |    Status     |
 *  +---------------+
 * </pre>
 */
public final class BlkRequest {
  public static final int TYPE_OFFSET = 0;
  public static final int RESERVED_OFFSET = TYPE_OFFSET + Integer.BYTES;
  public static final int SECTOR_OFFSET = RESERVED_OFFSET + Integer.BYTES;
  public static final int HEADER_LENGTH = SECTOR_OFFSET + Long.BYTES;
  public static final int STATUS_LENGTH = Byte.BYTES;

  public static final int SECTOR_SHIFT = 9;
  public static final int SECTOR_BYTES = 1 << SECTOR_SHIFT;

  /** Bytes that VIRTIO_BLK_T_GET_ID answers; shorter names end with a zero. */
  public static final int ID_LENGTH = 20;

  public static final int TYPE_IN = 0;
  public static final int TYPE_OUT = 1;
  public static final int TYPE_FLUSH = 4;
  public static final int TYPE_GET_ID = 8;
  public static final int TYPE_DISCARD = 11;
  public static final int TYPE_WRITE_ZEROES = 13;

  public static final int STATUS_OK = 0;
  public static final int STATUS_IOERR = 1;
  public static final int STATUS_UNSUPP = 2;

  /** What a driver puts in the status byte beforehand; no device answers it. */
  public static final int STATUS_NONE = 0xFF;

  private BlkRequest() {}

  /** Offset, length and name of each field, as the golden test wants them. */
  public static String describe() {
    return LayoutText.of("virtio_blk_req header", HEADER_LENGTH)
        .field("type", TYPE_OFFSET, Integer.BYTES)
        .field("reserved", RESERVED_OFFSET, Integer.BYTES)
        .field("sector", SECTOR_OFFSET, Long.BYTES)
        .text();
  }
}

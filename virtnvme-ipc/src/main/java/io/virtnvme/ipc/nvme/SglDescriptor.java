package io.virtnvme.ipc.nvme;

import io.virtnvme.ipc.memory.LayoutText;

/**
 * Scatter gather list descriptor, little endian (NVM Express base specification 2.0, 4.1.2). The
 * driver writes it: in a command, or in a segment of a list.
 *
 * <pre>
 *  0                   1                   2                   3
 *  0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
 *  +---------------------------------------------------------------+  0
 *  |                           Address                             |
 *  |                                                               |
 *  +---------------------------------------------------------------+  8
 *  |                           Length                              |
 *  +-----------------------------------------------+-------+-------+ 12
 *  |                  Reserved                     |subtype| type  |
 *  +-----------------------------------------------+-------+-------+ 16
 * </pre>
 */
public final class SglDescriptor {
  public static final int ADDRESS_OFFSET = 0;
  public static final int LENGTH_OFFSET = ADDRESS_OFFSET + Long.BYTES;
  public static final int RESERVED_OFFSET = LENGTH_OFFSET + Integer.BYTES;
  public static final int TYPE_OFFSET = RESERVED_OFFSET + 3;
  public static final int DESCRIPTOR_LENGTH = TYPE_OFFSET + Byte.BYTES;

  /** Where the word of length and type begins. */
  public static final int WORD_OFFSET = LENGTH_OFFSET;

  /** Data lies at the address. */
  public static final int TYPE_DATA_BLOCK = 0x0;

  /** The data of a read falls away here. */
  public static final int TYPE_BIT_BUCKET = 0x1;

  /** More descriptors lie at the address, and the last of them names the next segment. */
  public static final int TYPE_SEGMENT = 0x2;

  /** More descriptors lie at the address, and none after them. */
  public static final int TYPE_LAST_SEGMENT = 0x3;

  /** Address in memory: the only subtype over PCIe. */
  public static final int SUBTYPE_ADDRESS = 0x0;

  private static final int TYPE_BYTE_SHIFT = 56;
  private static final int TYPE_SHIFT = 4;
  private static final int NIBBLE_MASK = 0xF;

  private SglDescriptor() {}

  /** Bytes of data, or of the descriptors of a segment: 0..2^32-1. */
  public static long lengthBytes(final long word) {
    return word & 0xFFFF_FFFFL;
  }

  public static int type(final long word) {
    return (int) (word >>> (TYPE_BYTE_SHIFT + TYPE_SHIFT));
  }

  public static int subtype(final long word) {
    return (int) (word >>> TYPE_BYTE_SHIFT) & NIBBLE_MASK;
  }

  /** The word of length and type, for a driver. */
  public static long word(final int lengthBytes, final int type) {
    return (lengthBytes & 0xFFFF_FFFFL) | ((long) type << (TYPE_BYTE_SHIFT + TYPE_SHIFT));
  }

  /** Offset, length and name of each field, as the golden test wants them. */
  public static String describe() {
    return LayoutText.of("SGL descriptor", DESCRIPTOR_LENGTH)
        .field("address", ADDRESS_OFFSET, Long.BYTES)
        .field("length", LENGTH_OFFSET, Integer.BYTES)
        .field("reserved", RESERVED_OFFSET, 3)
        .field("type", TYPE_OFFSET, Byte.BYTES)
        .text();
  }
}

package io.virtnvme.ipc.virtio;

import io.virtnvme.ipc.memory.LayoutText;

/**
 * Descriptor of a split virtqueue (virtio 1.2, 2.7.5) and of its indirect tables (2.7.5.3). The
 * driver writes it.
 *
 * <pre>
 *  0                   1                   2                   3
 *  0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
 *  +---------------------------------------------------------------+  0
 *  |                           Address                             |
 *  |                                                               |
 *  +---------------------------------------------------------------+  8
 *  |                           Length                              |
 *  +-------------------------------+-------------------------------+ 12
 *  |            Flags              |             Next              |
 *  +-------------------------------+-------------------------------+ 16
 * </pre>
 *
 * Length, flags and next are read together as one little-endian word: the accessors with a {@code
 * word} take it apart.
 */
public final class SplitDescriptor {
  public static final int ADDRESS_OFFSET = 0;
  public static final int LENGTH_OFFSET = ADDRESS_OFFSET + Long.BYTES;
  public static final int FLAGS_OFFSET = LENGTH_OFFSET + Integer.BYTES;
  public static final int NEXT_OFFSET = FLAGS_OFFSET + Short.BYTES;
  public static final int DESCRIPTOR_LENGTH = NEXT_OFFSET + Short.BYTES;

  /** Where the word of length, flags and next begins. */
  public static final int WORD_OFFSET = LENGTH_OFFSET;

  public static final int FLAG_NEXT = 1;

  /** The device writes the buffer; else it reads it. */
  public static final int FLAG_WRITE = 1 << 1;

  /** The buffer is a table of descriptors. */
  public static final int FLAG_INDIRECT = 1 << 2;

  private SplitDescriptor() {}

  /** Buffer length in bytes, 0..2^32-1. */
  public static long length(final long word) {
    return word & 0xFFFF_FFFFL;
  }

  public static int flags(final long word) {
    return (int) (word >>> Integer.SIZE) & 0xFFFF;
  }

  public static int next(final long word) {
    return (int) (word >>> (Integer.SIZE + Short.SIZE));
  }

  /** The word of length, flags and next. */
  public static long word(final int length, final int flags, final int next) {
    return (length & 0xFFFF_FFFFL)
        | ((flags & 0xFFFFL) << Integer.SIZE)
        | ((next & 0xFFFFL) << (Integer.SIZE + Short.SIZE));
  }

  /** Offset, length and name of each field, as the golden test wants them. */
  public static String describe() {
    return LayoutText.of("virtq_desc", DESCRIPTOR_LENGTH)
        .field("addr", ADDRESS_OFFSET, Long.BYTES)
        .field("len", LENGTH_OFFSET, Integer.BYTES)
        .field("flags", FLAGS_OFFSET, Short.BYTES)
        .field("next", NEXT_OFFSET, Short.BYTES)
        .text();
  }
}

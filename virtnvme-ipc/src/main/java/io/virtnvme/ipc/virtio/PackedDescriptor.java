package io.virtnvme.ipc.virtio;

import io.virtnvme.ipc.memory.LayoutText;

/**
 * Descriptor of a packed virtqueue (virtio 1.2, 2.8) and of its indirect tables, where flags other
 * than write and the id mean nothing (2.8.7). Both sides write it; the flags go last, with release.
 *
 * <pre>
 *  0                   1                   2                   3
 *  0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
 *  +---------------------------------------------------------------+  0
 *  |                           Address                             |
 *  |                                                               |
 *  +---------------------------------------------------------------+  8
 *  |                           Length                              |
 *  +-------------------------------+-------------+-+-------------+-+ 12
 *  |          Buffer id            |    Flags    |A|             |U|   A = avail, bit 7; U = used, bit 15
 *  +-------------------------------+-------------+-+-------------+-+ 16
 * </pre>
 *
 * Length, id and flags are one aligned little-endian word: read and written at once, they are never
 * torn.
 */
public final class PackedDescriptor {
  public static final int ADDRESS_OFFSET = 0;
  public static final int LENGTH_OFFSET = ADDRESS_OFFSET + Long.BYTES;
  public static final int ID_OFFSET = LENGTH_OFFSET + Integer.BYTES;
  public static final int FLAGS_OFFSET = ID_OFFSET + Short.BYTES;
  public static final int DESCRIPTOR_LENGTH = FLAGS_OFFSET + Short.BYTES;

  /** Where the word of length, id and flags begins. */
  public static final int WORD_OFFSET = LENGTH_OFFSET;

  public static final int FLAG_NEXT = 1;
  public static final int FLAG_WRITE = 1 << 1;
  public static final int FLAG_INDIRECT = 1 << 2;
  public static final int FLAG_AVAIL = 1 << 7;
  public static final int FLAG_USED = 1 << 15;

  private PackedDescriptor() {}

  /** Buffer length in bytes, 0..2^32-1. */
  public static long length(final long word) {
    return word & 0xFFFF_FFFFL;
  }

  public static int id(final long word) {
    return (int) (word >>> Integer.SIZE) & 0xFFFF;
  }

  public static int flags(final long word) {
    return (int) (word >>> (Integer.SIZE + Short.SIZE));
  }

  /** The word of length, id and flags. */
  public static long word(final int length, final int id, final int flags) {
    return (length & 0xFFFF_FFFFL)
        | ((id & 0xFFFFL) << Integer.SIZE)
        | ((flags & 0xFFFFL) << (Integer.SIZE + Short.SIZE));
  }

  /** Flags that make a descriptor available in a lap of the ring (2.8.1). */
  public static int availFlags(final boolean wrapCounter) {
    return wrapCounter ? FLAG_AVAIL : FLAG_USED;
  }

  /** Flags that make a descriptor used in a lap of the ring (2.8.1). */
  public static int usedFlags(final boolean wrapCounter) {
    return wrapCounter ? FLAG_AVAIL | FLAG_USED : 0;
  }

  /** Whether a descriptor with these flags is available in this lap. */
  public static boolean isAvailable(final int flags, final boolean wrapCounter) {
    return (flags & (FLAG_AVAIL | FLAG_USED)) == availFlags(wrapCounter);
  }

  /** Whether a descriptor with these flags is used in this lap. */
  public static boolean isUsed(final int flags, final boolean wrapCounter) {
    return (flags & (FLAG_AVAIL | FLAG_USED)) == usedFlags(wrapCounter);
  }

  /** Offset, length and name of each field, as the golden test wants them. */
  public static String describe() {
    return LayoutText.of("pvirtq_desc", DESCRIPTOR_LENGTH)
        .field("addr", ADDRESS_OFFSET, Long.BYTES)
        .field("len", LENGTH_OFFSET, Integer.BYTES)
        .field("id", ID_OFFSET, Short.BYTES)
        .field("flags", FLAGS_OFFSET, Short.BYTES)
        .text();
  }
}

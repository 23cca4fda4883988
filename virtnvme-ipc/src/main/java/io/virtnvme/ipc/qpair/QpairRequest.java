package io.virtnvme.ipc.qpair;

import io.virtnvme.ipc.memory.LayoutText;
import io.virtnvme.ipc.memory.Mem;

/**
 * A request, little endian. The client writes it, then moves the tail; a slave copies it to its
 * journal and looks at the copy alone. Opcode, flags and id lie where an NVMe command has them, so
 * the journal of an NVMe queue holds it.
 *
 * <pre>
 *  0                   1                   2                   3
 *  0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
 *  +---------------+---------------+-------------------------------+  0
 *  |    opcode     |     flags     |              id               |
 *  +---------------+---------------+-------------------------------+  4
 *  |                       count of blocks                         |
 *  +---------------------------------------------------------------+  8
 *  |                   first block, 64 bits                        |
 *  +---------------------------------------------------------------+ 16
 *  |         offset of the buffer in the pool, 64 bits             |
 *  +---------------------------------------------------------------+ 24
 *  |                       spare, zero                             |
 *  +---------------------------------------------------------------+ 64
 * </pre>
 */
public final class QpairRequest {
  public static final int OPCODE_OFFSET = 0;
  public static final int FLAGS_OFFSET = OPCODE_OFFSET + Byte.BYTES;
  public static final int ID_OFFSET = FLAGS_OFFSET + Byte.BYTES;
  public static final int BLOCK_COUNT_OFFSET = ID_OFFSET + Short.BYTES;
  public static final int FIRST_BLOCK_OFFSET = BLOCK_COUNT_OFFSET + Integer.BYTES;
  public static final int BUFFER_OFFSET = FIRST_BLOCK_OFFSET + Long.BYTES;
  public static final int SPARE_OFFSET = BUFFER_OFFSET + Long.BYTES;
  public static final int LENGTH = 64;

  public static final int READ = 1;
  public static final int WRITE = 2;
  public static final int FLUSH = 3;
  public static final int WRITE_ZEROES = 4;
  public static final int UNMAP = 5;

  /** For {@link #WRITE}: on stable storage before it completes. */
  public static final int FLAG_DURABLE = 1;

  /** Bytes of one read or write, at most. */
  public static final int DATA_BYTES_MAX = 1 << 20;

  private QpairRequest() {}

  /** Writes a request into an entry that nobody reads yet. Any thread; does not allocate. */
  public static void put(
      final long address,
      final int opcode,
      final int flags,
      final int id,
      final long firstBlock,
      final int blockCount,
      final long bufferOffset) {
    Mem.putByte(address + OPCODE_OFFSET, (byte) opcode);
    Mem.putByte(address + FLAGS_OFFSET, (byte) flags);
    Mem.putShort(address + ID_OFFSET, (short) id);
    Mem.putInt(address + BLOCK_COUNT_OFFSET, blockCount);
    Mem.putLong(address + FIRST_BLOCK_OFFSET, firstBlock);
    Mem.putLong(address + BUFFER_OFFSET, bufferOffset);
    Mem.fill(address + SPARE_OFFSET, LENGTH - SPARE_OFFSET, (byte) 0);
  }

  /** Offset, length and name of each field, as the golden test wants them. */
  public static String describe() {
    return LayoutText.of("VirtNvme request", LENGTH)
        .field("opcode", OPCODE_OFFSET, Byte.BYTES)
        .field("flags", FLAGS_OFFSET, Byte.BYTES)
        .field("id", ID_OFFSET, Short.BYTES)
        .field("block_count", BLOCK_COUNT_OFFSET, Integer.BYTES)
        .field("first_block", FIRST_BLOCK_OFFSET, Long.BYTES)
        .field("buffer", BUFFER_OFFSET, Long.BYTES)
        .field("spare", SPARE_OFFSET, LENGTH - SPARE_OFFSET)
        .text();
  }
}

package io.virtnvme.ipc.qpair;

import io.virtnvme.ipc.memory.LayoutText;
import io.virtnvme.ipc.memory.Mem;
import io.virtnvme.ipc.nvme.CompletionEntry;
import io.virtnvme.ipc.segment.BootId;
import io.virtnvme.ipc.segment.SegmentHeader;
import io.virtnvme.ipc.segment.SegmentKind;

/**
 * Layout of the memory that client and slave share, version 1, little endian: a memfd of fixed
 * length. A slave makes it; the client may store anywhere in it, so a slave reads nothing from it
 * but the tail of requests, the head of completions, the requests, and whether the client sleeps,
 * each of them once.
 *
 * <pre>
 *  0      +---------------------------------------------------------------+
 *         | segment header                                                |
 *  64     +-------------------------------+-------------------------------+
 *         | entries of either queue       | bytes of a block              |  slave, once
 *  72     +-------------------------------+-------------------------------+
 *         | blocks of the volume                                          |  slave, when it grows
 *  80     +---------------------------------------------------------------+
 *         | offset of the pool                                            |  slave, once
 *  88     +---------------------------------------------------------------+
 *         | length of the pool                                            |  slave, once
 *  96     +-------------------------------+-------------------------------+
 *         | 1: the client may not write   | spare                         |  slave, once
 *  128    +-------------------------------+-------------------------------+
 *         | tail of requests              | head of completions           |  client: doorbells
 *  136    +-------------------------------+-------------------------------+
 *         | 1: the client sleeps          | spare                         |  client
 *  192    +-------------------------------+-------------------------------+
 *         | 1: the slave sleeps           | spare                         |  slave
 *  4096   +-------------------------------+-------------------------------+
 *         | requests, 64 bytes each       {@link QpairRequest}            |  client
 *         +---------------------------------------------------------------+ multiple of 4096
 *         | completions, 16 bytes each    {@link CompletionEntry}         |  slave
 *         +---------------------------------------------------------------+ multiple of 4096
 *         | pool: buffers, named by their offset in it                    |  client, or slave
 *         +---------------------------------------------------------------+
 * </pre>
 *
 * <p>Doorbells are indices, 0 to entries - 1; equal indices mean an empty queue, so one entry stays
 * empty. Whoever sleeps stores its word, then a full fence, then looks at its queue once more;
 * whoever moves a doorbell or publishes a completion fences, then reads the word of the other, and
 * signals its eventfd if it is 1.
 */
public final class QpairSegment {
  public static final int ENTRY_COUNT_OFFSET = SegmentHeader.HEADER_LENGTH;
  public static final int BLOCK_BYTES_OFFSET = ENTRY_COUNT_OFFSET + Integer.BYTES;
  public static final int BLOCK_COUNT_OFFSET = BLOCK_BYTES_OFFSET + Integer.BYTES;
  public static final int POOL_OFFSET_OFFSET = BLOCK_COUNT_OFFSET + Long.BYTES;
  public static final int POOL_LENGTH_OFFSET = POOL_OFFSET_OFFSET + Long.BYTES;
  public static final int READ_ONLY_OFFSET = POOL_LENGTH_OFFSET + Long.BYTES;
  public static final int SQ_TAIL_OFFSET = 128;
  public static final int CQ_HEAD_OFFSET = SQ_TAIL_OFFSET + Integer.BYTES;
  public static final int CLIENT_SLEEPS_OFFSET = CQ_HEAD_OFFSET + Integer.BYTES;
  public static final int SLAVE_SLEEPS_OFFSET = 192;
  public static final int REQUESTS_OFFSET = 4096;

  public static final int ENTRY_COUNT_MIN = 2;
  public static final int ENTRY_COUNT_MAX = 1024;
  public static final long POOL_LENGTH_MAX = 64L << 20;

  private static final int PAGE_LENGTH = 4096;

  private QpairSegment() {}

  /** Whether queues and pool of these lengths may be asked for; the pool is a multiple of 4096. */
  public static boolean isAllowed(final int entryCount, final long poolLength) {
    return entryCount >= ENTRY_COUNT_MIN
        && entryCount <= ENTRY_COUNT_MAX
        && poolLength >= PAGE_LENGTH
        && poolLength <= POOL_LENGTH_MAX
        && poolLength % PAGE_LENGTH == 0;
  }

  private static int pages(final int lengthBytes) {
    return (lengthBytes + PAGE_LENGTH - 1) & -PAGE_LENGTH;
  }

  /** Where completions begin. */
  public static int completionsOffset(final int entryCount) {
    return REQUESTS_OFFSET + pages(entryCount * QpairRequest.LENGTH);
  }

  /** Where the pool begins. */
  public static int poolOffset(final int entryCount) {
    return completionsOffset(entryCount) + pages(entryCount * CompletionEntry.ENTRY_LENGTH);
  }

  /** Bytes of the whole segment. */
  public static long length(final int entryCount, final long poolLength) {
    return poolOffset(entryCount) + poolLength;
  }

  /** Fills a zeroed segment before anybody else has it. */
  public static void format(
      final long address,
      final QpairGeometry geometry,
      final BootId bootId,
      final long instanceId,
      final long sessionId) {
    final int entryCount = geometry.entryCount();
    Mem.putInt(address + ENTRY_COUNT_OFFSET, entryCount);
    Mem.putInt(address + BLOCK_BYTES_OFFSET, geometry.blockBytes());
    Mem.putLong(address + BLOCK_COUNT_OFFSET, geometry.blockCount());
    Mem.putLong(address + POOL_OFFSET_OFFSET, poolOffset(entryCount));
    Mem.putLong(address + POOL_LENGTH_OFFSET, geometry.poolLength());
    Mem.putInt(address + READ_ONLY_OFFSET, geometry.readOnly() ? 1 : 0);
    SegmentHeader.write(
        address,
        SegmentKind.QPAIR,
        length(entryCount, geometry.poolLength()),
        bootId,
        instanceId,
        sessionId);
  }

  /**
   * What a client finds in a segment that it was given.
   *
   * @throws QpairException when it is of another kind or version, or does not fit its length
   */
  static QpairGeometry read(final long address, final long lengthBytes) {
    final String problem = SegmentHeader.formatProblem(address, SegmentKind.QPAIR, lengthBytes);
    if (problem != null) {
      throw new QpairException("the queue pair cannot be used: " + problem);
    }
    final QpairGeometry geometry =
        new QpairGeometry(
            Mem.getInt(address + ENTRY_COUNT_OFFSET),
            Mem.getLong(address + POOL_LENGTH_OFFSET),
            Mem.getInt(address + BLOCK_BYTES_OFFSET),
            Mem.getLong(address + BLOCK_COUNT_OFFSET),
            Mem.getInt(address + READ_ONLY_OFFSET) != 0);
    if (!isAllowed(geometry.entryCount(), geometry.poolLength())
        || length(geometry.entryCount(), geometry.poolLength()) != lengthBytes
        || geometry.blockBytes() <= 0
        || geometry.blockBytes() > geometry.poolLength()) {
      throw new QpairException("the queue pair cannot be used: " + geometry);
    }
    return geometry;
  }

  /** Offset, length and name of each field, as the golden test wants them. */
  public static String describe() {
    return LayoutText.of("VirtNvme queue pair segment, version 1", REQUESTS_OFFSET)
        .field("entry_count", ENTRY_COUNT_OFFSET, Integer.BYTES)
        .field("block_bytes", BLOCK_BYTES_OFFSET, Integer.BYTES)
        .field("block_count", BLOCK_COUNT_OFFSET, Long.BYTES)
        .field("pool_offset", POOL_OFFSET_OFFSET, Long.BYTES)
        .field("pool_length", POOL_LENGTH_OFFSET, Long.BYTES)
        .field("read_only", READ_ONLY_OFFSET, Integer.BYTES)
        .field("sq_tail", SQ_TAIL_OFFSET, Integer.BYTES)
        .field("cq_head", CQ_HEAD_OFFSET, Integer.BYTES)
        .field("client_sleeps", CLIENT_SLEEPS_OFFSET, Integer.BYTES)
        .field("slave_sleeps", SLAVE_SLEEPS_OFFSET, Integer.BYTES)
        .text();
  }
}

package io.virtnvme.ipc.segment;

import io.virtnvme.ipc.memory.Mem;

/**
 * What must be seen of a session while its slave or the master is dead.
 *
 * <pre>
 *  0      +-------------------------------+
 *         | segment header                |
 *  64     +-------------------------------+
 *         | applying                      |  slave: version of the record being applied, or applied last
 *  128    +-------------------------------+
 *         | consumed sequence             |  master: last message taken out of the socket
 *  136    | replied sequence              |  master: last message whose reply was sent
 *  144    | pending sequence              |  master: message about to be taken out of the socket
 *  152    | pending hash                  |  master: hash of its bytes
 *  256    +-------------------------------+ <- queue 0, one block of counters per queue (128 bytes each)
 * </pre>
 *
 * <p><b>applying</b>: the slave stores version + 1 before it changes a ring or the memory map for a
 * message. A successor whose prepared record has another version must not touch the rings: it waits
 * until the master has brought it the record, or the message again.
 */
public final class SessionSegment implements AutoCloseable {
  public static final int QUEUE_COUNT_MAX = 64;

  public static final int APPLYING_OFFSET = SegmentHeader.HEADER_LENGTH;
  public static final int CONSUMED_SEQUENCE_OFFSET = 128;
  public static final int REPLIED_SEQUENCE_OFFSET = CONSUMED_SEQUENCE_OFFSET + Long.BYTES;
  public static final int PENDING_SEQUENCE_OFFSET = REPLIED_SEQUENCE_OFFSET + Long.BYTES;
  public static final int PENDING_HASH_OFFSET = PENDING_SEQUENCE_OFFSET + Long.BYTES;
  public static final int QUEUES_OFFSET = 256;
  public static final int QUEUE_LENGTH = 128;
  public static final int LENGTH = (QUEUES_OFFSET + QUEUE_COUNT_MAX * QUEUE_LENGTH + 4095) & ~4095;

  /**
   * Counters of one queue, written by its reactor only. The number is the position in the block.
   */
  public enum QueueCounter {
    READ_OPS(0),
    READ_BYTES(1),
    READ_NS(2),
    WRITE_OPS(3),
    WRITE_BYTES(4),
    WRITE_NS(5),
    FLUSH_OPS(6),
    UNMAP_OPS(7),
    UNMAP_BYTES(8),
    ERRORS(9),
    GUEST_FAULTS(10),
    KICKS(11),
    CALLS(12),
    RESUBMITTED(13);

    private final int offsetBytes;

    QueueCounter(final int index) {
      this.offsetBytes = index * Long.BYTES;
    }

    /** Offset in a queue's block of counters. */
    public int offsetBytes() {
      return offsetBytes;
    }
  }

  private final Segment segment;

  private SessionSegment(final Segment segment) {
    this.segment = segment;
    if (segment.lengthBytes() != LENGTH) {
      segment.close();
      throw new BadSegmentException(
          segment.path(), "wrong length: bytes=" + segment.lengthBytes() + " expected=" + LENGTH);
    }
  }

  public static SessionSegment create(final SegmentDirectory directory, final long sessionId) {
    return new SessionSegment(
        Segment.create(
            directory,
            directory.session(sessionId),
            SegmentKind.SESSION,
            LENGTH,
            sessionId,
            address -> {}));
  }

  public static SessionSegment open(final SegmentDirectory directory, final long sessionId) {
    return new SessionSegment(
        Segment.open(directory, directory.session(sessionId), SegmentKind.SESSION));
  }

  public long applying() {
    return Mem.getLongAcquire(segment.address() + APPLYING_OFFSET);
  }

  /** By the slave, before it applies a message that makes this version of the record. */
  public void applying(final long recordVersion) {
    Mem.putLongRelease(segment.address() + APPLYING_OFFSET, recordVersion);
  }

  public long consumedSequence() {
    return Mem.getLongAcquire(segment.address() + CONSUMED_SEQUENCE_OFFSET);
  }

  public void consumedSequence(final long sequence) {
    Mem.putLongRelease(segment.address() + CONSUMED_SEQUENCE_OFFSET, sequence);
  }

  public long repliedSequence() {
    return Mem.getLongAcquire(segment.address() + REPLIED_SEQUENCE_OFFSET);
  }

  public void repliedSequence(final long sequence) {
    Mem.putLongRelease(segment.address() + REPLIED_SEQUENCE_OFFSET, sequence);
  }

  public long pendingSequence() {
    return Mem.getLongAcquire(segment.address() + PENDING_SEQUENCE_OFFSET);
  }

  public long pendingHash() {
    return Mem.getLongAcquire(segment.address() + PENDING_HASH_OFFSET);
  }

  /**
   * By the master, before it takes a message out of the socket: the hash first, the sequence
   * commits it.
   */
  public void pending(final long sequence, final long hash) {
    Mem.putLongRelease(segment.address() + PENDING_HASH_OFFSET, hash);
    Mem.putLongRelease(segment.address() + PENDING_SEQUENCE_OFFSET, sequence);
  }

  /**
   * Address of a queue's block of counters; counter {@code c} is the word at {@code 8 *
   * c.ordinal()}.
   */
  public long queueCounters(final int queue) {
    if (queue < 0 || queue >= QUEUE_COUNT_MAX) {
      throw new IllegalArgumentException(
          "no such queue: index=" + queue + " max=" + (QUEUE_COUNT_MAX - 1));
    }
    return segment.address() + QUEUES_OFFSET + (long) queue * QUEUE_LENGTH;
  }

  /** One counter summed over all queues. */
  public long sum(final QueueCounter counter) {
    long total = 0;
    for (int queue = 0; queue < QUEUE_COUNT_MAX; queue++) {
      total += Mem.getLongAcquire(queueCounters(queue) + counter.offsetBytes());
    }
    return total;
  }

  @Override
  public void close() {
    segment.close();
  }
}

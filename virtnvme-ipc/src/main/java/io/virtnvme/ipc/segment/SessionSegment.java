package io.virtnvme.ipc.segment;

import io.virtnvme.ipc.memory.Mem;
import io.virtnvme.ipc.sys.FdMessage;

/**
 * What must be seen of a session while its slave or the master is dead.
 *
 * <pre>
 *  0      +-------------------------------+
 *         | segment header                |
 *  64     +-------------------------------+
 *         | applying                      |  slave: version of the record being applied, or applied last
 *  128    +-------------------------------+
 *         | settled sequence              |  master: last message that was answered and taken out of the socket
 *  136    | pending sequence              |  master: message that a slave answered and the master is settling
 *  144    | spare                         |
 *  192    +-------------------------------+
 *         | reply witness (64 bytes)      |  kernel: bytes of the reply that left
 *  256    +-------------------------------+
 *         | taken witnesses (4 * 64)      |  kernel: bytes of the message taken out of the socket
 *  512    +-------------------------------+ <- queue 0, one block of counters per queue (128 bytes each)
 * </pre>
 *
 * <p><b>applying</b>: the slave stores version + 1 before it changes a ring or the memory map for a
 * message. A successor whose prepared record has another version must not touch the rings: it waits
 * until the master has brought it the record, or the message again.
 *
 * <p><b>Witnesses</b> ({@link FdMessage#sendWitnessed}): the kernel writes to them within the
 * system call that sends or takes, so a new master knows for certain how far its predecessor came.
 * They are cleared before the pending sequence is stored, and count for that message only.
 */
public final class SessionSegment implements AutoCloseable {
  public static final int QUEUE_COUNT_MAX = 64;

  public static final int APPLYING_OFFSET = SegmentHeader.HEADER_LENGTH;
  public static final int SETTLED_SEQUENCE_OFFSET = 128;
  public static final int PENDING_SEQUENCE_OFFSET = SETTLED_SEQUENCE_OFFSET + Long.BYTES;

  /** In how many pieces a message may come that brings descriptors with more than one of them. */
  public static final int TAKEN_WITNESS_COUNT = 4;

  public static final int REPLY_WITNESS_OFFSET = 192;
  public static final int TAKEN_WITNESSES_OFFSET = REPLY_WITNESS_OFFSET + FdMessage.WITNESS_LENGTH;
  public static final int QUEUES_OFFSET =
      TAKEN_WITNESSES_OFFSET + TAKEN_WITNESS_COUNT * FdMessage.WITNESS_LENGTH;
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

  public long settledSequence() {
    return Mem.getLongAcquire(segment.address() + SETTLED_SEQUENCE_OFFSET);
  }

  public long pendingSequence() {
    return Mem.getLongAcquire(segment.address() + PENDING_SEQUENCE_OFFSET);
  }

  /**
   * By the master, when it has the answer to a message and is about to send the reply and to take
   * the message out of the socket. Killed before the last store, nothing is pending.
   */
  public void beginSettling(final long sequence) {
    FdMessage.clear(replyWitness());
    for (int i = 0; i < TAKEN_WITNESS_COUNT; i++) {
      FdMessage.clear(takenWitnesses() + (long) i * FdMessage.WITNESS_LENGTH);
    }
    Mem.putLongRelease(segment.address() + PENDING_SEQUENCE_OFFSET, sequence);
  }

  /** By the master: the reply left and the message is out of the socket. */
  public void settled(final long sequence) {
    Mem.putLongRelease(segment.address() + SETTLED_SEQUENCE_OFFSET, sequence);
  }

  public long replyWitness() {
    return segment.address() + REPLY_WITNESS_OFFSET;
  }

  public long takenWitnesses() {
    return segment.address() + TAKEN_WITNESSES_OFFSET;
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

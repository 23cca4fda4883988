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
 *  8704   +-------------------------------+ <- disk 0, since 1.1: one block per block device (96 bytes each)
 *         | bdev id, 0 = free             |  master
 *  +8     | the first ten counters        |  slave: the reactors together
 *  +88    | spare                         |
 *  +96    +-------------------------------+
 * </pre>
 *
 * <p><b>applying</b>: the slave stores version + 1 before it changes a ring or the memory map for a
 * message. A successor whose prepared record has another version must not touch the rings: it waits
 * until the master has brought it the record, or the message again.
 *
 * <p><b>Disks</b>: the namespaces of an NVMe session are several block devices. The master gives
 * each one a block, which it keeps as long as the session lasts, before it tells slaves of it. What
 * a queue counts, it counts again for the disk; a slave adds to the disk's block before it stores
 * the queue's. So all disks together never have less than all queues, unless there was I/O that
 * belongs to no block: a disk beyond the last block, a command without a namespace, a slave or a
 * master of 1.0.
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
  public static final int DISKS_OFFSET = QUEUES_OFFSET + QUEUE_COUNT_MAX * QUEUE_LENGTH;

  /** As of 1.0: the blocks of disks lie in what was padding. */
  public static final int LENGTH = (DISKS_OFFSET + 4095) & ~4095;

  public static final int DISK_LENGTH = 96;
  public static final int DISK_COUNT_MAX = (LENGTH - DISKS_OFFSET) / DISK_LENGTH;

  private static final int DISK_COUNTERS_OFFSET = Long.BYTES;
  private static final long NO_DISK = 0;

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

    /** Offset in a queue's block of counters, and among the counters of a disk. */
    public int offsetBytes() {
      return offsetBytes;
    }

    /** Whether it is counted for disks too. */
    public boolean isOfDisks() {
      return offsetBytes <= ERRORS.offsetBytes;
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

  /**
   * Gives a block device its block of counters, if it has none. By the master only; stored with one
   * word, so a death leaves it done or not.
   *
   * @return false when there is no room: its I/O counts for its queue alone
   */
  public boolean claimDisk(final long bdevId) {
    if (bdevId == NO_DISK || diskCounters(bdevId) != 0) {
      return bdevId != NO_DISK;
    }
    for (int disk = 0; disk < DISK_COUNT_MAX; disk++) {
      if (Mem.getLong(disk(disk)) == NO_DISK) {
        Mem.putLongRelease(disk(disk), bdevId);
        return true;
      }
    }
    return false;
  }

  private long disk(final int disk) {
    return segment.address() + DISKS_OFFSET + (long) disk * DISK_LENGTH;
  }

  /** Address of a block device's counters, laid out as a queue's first ten; 0 for none. */
  public long diskCounters(final long bdevId) {
    for (int disk = 0; disk < DISK_COUNT_MAX && bdevId != NO_DISK; disk++) {
      if (Mem.getLongAcquire(disk(disk)) == bdevId) {
        return disk(disk) + DISK_COUNTERS_OFFSET;
      }
    }
    return 0;
  }

  /** One counter summed over all block devices; one that they do not have is 0. */
  public long diskSum(final QueueCounter counter) {
    long total = 0;
    for (int disk = 0; disk < DISK_COUNT_MAX && counter.isOfDisks(); disk++) {
      total += Mem.getLongAcquire(disk(disk) + DISK_COUNTERS_OFFSET + counter.offsetBytes());
    }
    return total;
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

package io.virtnvme.slave.qpair;

import io.virtnvme.ipc.memory.LittleEndian;
import io.virtnvme.ipc.qpair.QpairSegment;
import io.virtnvme.slave.session.SessionException;

/**
 * What a successor must know of an attached client: its record. A client that has not attached has
 * an empty one. Immutable; control thread.
 *
 * <pre>
 *  0               4               8               12              16              24              32
 *  +---------------+---------------+---------------+---------------+---------------+---------------+
 *  | version       | entries       | write access  | spare         | pool, bytes   | sequence      |
 *  +---------------+---------------+---------------+---------------+---------------+---------------+
 * </pre>
 *
 * @param entryCount of either queue
 * @param poolLength bytes
 * @param writeAccess the client asked for it, and has it
 * @param sequence number of the message that attached: one that comes again is the same
 */
public record QpairRecord(int entryCount, long poolLength, boolean writeAccess, long sequence) {
  public static final int VERSION = 1;

  static final int VERSION_OFFSET = 0;
  static final int ENTRY_COUNT_OFFSET = VERSION_OFFSET + Integer.BYTES;
  static final int ACCESS_OFFSET = ENTRY_COUNT_OFFSET + Integer.BYTES;
  static final int POOL_LENGTH_OFFSET = ACCESS_OFFSET + 2 * Integer.BYTES;
  static final int SEQUENCE_OFFSET = POOL_LENGTH_OFFSET + Long.BYTES;
  static final int LENGTH = SEQUENCE_OFFSET + Long.BYTES;

  byte[] encode() {
    final byte[] bytes = new byte[LENGTH];
    LittleEndian.putInt(bytes, VERSION_OFFSET, VERSION);
    LittleEndian.putInt(bytes, ENTRY_COUNT_OFFSET, entryCount);
    LittleEndian.putInt(bytes, ACCESS_OFFSET, writeAccess ? 1 : 0);
    LittleEndian.putLong(bytes, POOL_LENGTH_OFFSET, poolLength);
    LittleEndian.putLong(bytes, SEQUENCE_OFFSET, sequence);
    return bytes;
  }

  /**
   * Reads a record.
   *
   * @throws SessionException when it is damaged, or of another build
   */
  static QpairRecord decode(final byte[] bytes) {
    final int version = bytes.length == LENGTH ? LittleEndian.getInt(bytes, VERSION_OFFSET) : 0;
    if (version != VERSION) {
      throw new SessionException(
          "record of a queue pair: bytes="
              + bytes.length
              + " version="
              + version
              + ", known "
              + LENGTH
              + " and "
              + VERSION);
    }
    final QpairRecord record =
        new QpairRecord(
            LittleEndian.getInt(bytes, ENTRY_COUNT_OFFSET),
            LittleEndian.getLong(bytes, POOL_LENGTH_OFFSET),
            LittleEndian.getInt(bytes, ACCESS_OFFSET) != 0,
            LittleEndian.getLong(bytes, SEQUENCE_OFFSET));
    if (!QpairSegment.isAllowed(record.entryCount, record.poolLength)) {
      throw new SessionException("record of a queue pair: " + record);
    }
    return record;
  }
}

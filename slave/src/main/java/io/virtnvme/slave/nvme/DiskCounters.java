package io.virtnvme.slave.nvme;

import io.virtnvme.ipc.memory.Mem;
import io.virtnvme.ipc.segment.SessionSegment.QueueCounter;
import io.virtnvme.slave.blk.IoCounters;

/**
 * The I/O of one namespace as the queues of one agent count it: in private fields, added to the
 * disk's block in the session segment once per duty cycle. Other reactors add theirs there, so it
 * is added with one instruction each; a kill loses what a cycle had not added. One reactor thread.
 */
final class DiskCounters implements IoCounters {
  private final long address;
  private long readOps;
  private long readBytes;
  private long readNs;
  private long writeOps;
  private long writeBytes;
  private long writeNs;
  private long flushOps;
  private long unmapOps;
  private long unmapBytes;
  private long errors;

  /** The next one in the list of those that have something to add. */
  DiskCounters next;

  boolean isListed;

  /**
   * Counts for a disk.
   *
   * @param address host address of its counters; 0 for none
   */
  DiskCounters(final long address) {
    this.address = address;
  }

  @Override
  public void onRead(final long bytes, final long ns) {
    readOps++;
    readBytes += bytes;
    readNs += ns;
  }

  @Override
  public void onWrite(final long bytes, final long ns) {
    writeOps++;
    writeBytes += bytes;
    writeNs += ns;
  }

  @Override
  public void onFlush() {
    flushOps++;
  }

  @Override
  public void onUnmap(final long bytes) {
    unmapOps++;
    unmapBytes += bytes;
  }

  @Override
  public void onError() {
    errors++;
  }

  /** Adds what was counted since the last time. */
  void add() {
    if (readOps != 0) {
      readOps = add(QueueCounter.READ_OPS, readOps);
      readBytes = add(QueueCounter.READ_BYTES, readBytes);
      readNs = add(QueueCounter.READ_NS, readNs);
    }
    if (writeOps != 0) {
      writeOps = add(QueueCounter.WRITE_OPS, writeOps);
      writeBytes = add(QueueCounter.WRITE_BYTES, writeBytes);
      writeNs = add(QueueCounter.WRITE_NS, writeNs);
    }
    if ((flushOps | unmapOps | errors) != 0) {
      flushOps = add(QueueCounter.FLUSH_OPS, flushOps);
      unmapOps = add(QueueCounter.UNMAP_OPS, unmapOps);
      unmapBytes = add(QueueCounter.UNMAP_BYTES, unmapBytes);
      errors = add(QueueCounter.ERRORS, errors);
    }
  }

  /** Returns what is left to add: nothing. */
  private long add(final QueueCounter counter, final long value) {
    if (address != 0) {
      Mem.getAndAddLong(address + counter.offsetBytes(), value);
    }
    return 0;
  }
}

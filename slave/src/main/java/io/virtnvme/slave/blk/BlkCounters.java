package io.virtnvme.slave.blk;

import io.virtnvme.ipc.memory.Mem;
import io.virtnvme.ipc.segment.SessionSegment.QueueCounter;

/**
 * The I/O counters of one queue: counted in private fields, stored into the session segment once
 * per duty cycle. They go on from what a predecessor left there. The queue's reactor thread only.
 */
public final class BlkCounters implements IoCounters {
  private static final int READS_CHANGED = 1;
  private static final int WRITES_CHANGED = 2;
  private static final int OTHERS_CHANGED = 4;

  private final long address;
  private int changed;
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
  private long guestFaults;
  private long kicks;
  private long calls;
  private long resubmitted;

  /**
   * Works on a queue's block of counters.
   *
   * @param address its host address
   */
  public BlkCounters(final long address) {
    this.address = address;
  }

  /** Takes over what is in the segment. */
  public void load() {
    readOps = get(QueueCounter.READ_OPS);
    readBytes = get(QueueCounter.READ_BYTES);
    readNs = get(QueueCounter.READ_NS);
    writeOps = get(QueueCounter.WRITE_OPS);
    writeBytes = get(QueueCounter.WRITE_BYTES);
    writeNs = get(QueueCounter.WRITE_NS);
    flushOps = get(QueueCounter.FLUSH_OPS);
    unmapOps = get(QueueCounter.UNMAP_OPS);
    unmapBytes = get(QueueCounter.UNMAP_BYTES);
    errors = get(QueueCounter.ERRORS);
    guestFaults = get(QueueCounter.GUEST_FAULTS);
    kicks = get(QueueCounter.KICKS);
    calls = get(QueueCounter.CALLS);
    resubmitted = get(QueueCounter.RESUBMITTED);
    changed = 0;
  }

  @Override
  public void onRead(final long bytes, final long ns) {
    readOps++;
    readBytes += bytes;
    readNs += ns;
    changed |= READS_CHANGED;
  }

  @Override
  public void onWrite(final long bytes, final long ns) {
    writeOps++;
    writeBytes += bytes;
    writeNs += ns;
    changed |= WRITES_CHANGED;
  }

  @Override
  public void onFlush() {
    flushOps++;
    changed |= OTHERS_CHANGED;
  }

  @Override
  public void onUnmap(final long bytes) {
    unmapOps++;
    unmapBytes += bytes;
    changed |= OTHERS_CHANGED;
  }

  @Override
  public void onError() {
    errors++;
    changed |= OTHERS_CHANGED;
  }

  /** The guest broke a rule of the ring or of a request's form. */
  public void onGuestFault() {
    guestFaults++;
    changed |= OTHERS_CHANGED;
  }

  /** The guest kicked. */
  public void onKick() {
    kicks++;
    changed |= OTHERS_CHANGED;
  }

  /** The guest was signalled. */
  public void onCall() {
    calls++;
    changed |= OTHERS_CHANGED;
  }

  /** Requests of a predecessor were taken over. */
  public void onResubmitted(final int count) {
    resubmitted += count;
    changed |= OTHERS_CHANGED;
  }

  /** Stores what changed. Readers see each counter whole, but not all at the same instant. */
  public void store() {
    if (changed == 0) {
      return;
    }
    if ((changed & READS_CHANGED) != 0) {
      put(QueueCounter.READ_OPS, readOps);
      put(QueueCounter.READ_BYTES, readBytes);
      put(QueueCounter.READ_NS, readNs);
    }
    if ((changed & WRITES_CHANGED) != 0) {
      put(QueueCounter.WRITE_OPS, writeOps);
      put(QueueCounter.WRITE_BYTES, writeBytes);
      put(QueueCounter.WRITE_NS, writeNs);
    }
    if ((changed & OTHERS_CHANGED) != 0) {
      put(QueueCounter.FLUSH_OPS, flushOps);
      put(QueueCounter.UNMAP_OPS, unmapOps);
      put(QueueCounter.UNMAP_BYTES, unmapBytes);
      put(QueueCounter.ERRORS, errors);
      put(QueueCounter.GUEST_FAULTS, guestFaults);
      put(QueueCounter.KICKS, kicks);
      put(QueueCounter.CALLS, calls);
      put(QueueCounter.RESUBMITTED, resubmitted);
    }
    changed = 0;
  }

  private long get(final QueueCounter counter) {
    return Mem.getLong(address + counter.offsetBytes());
  }

  private void put(final QueueCounter counter, final long value) {
    Mem.putLongRelease(address + counter.offsetBytes(), value);
  }
}

package io.virtnvme.slave.virtqueue;

import io.virtnvme.slave.blk.BlkTask;

/**
 * Takes the descriptors of one request, translates their buffers and gives them to its task. What
 * is wrong with a buffer is kept as a fault, and reading goes on, so that the status byte is found
 * and the request can be answered. One reactor thread.
 */
final class ChainReader {
  static final int FAULT_NONE = 0;
  static final int FAULT_EMPTY_BUFFER = 1;
  static final int FAULT_ORDER = 2;
  static final int FAULT_UNMAPPED = 3;
  static final int FAULT_TOO_MANY = 4;
  static final int FAULT_INDIRECT = 5;

  private GuestMemory memory;
  private BlkTask task;
  private int fault;
  private boolean seenWritable;
  private long lastWritable;
  private long lastWritableLength;

  ChainReader(final GuestMemory memory) {
    this.memory = memory;
  }

  void memory(final GuestMemory newMemory) {
    memory = newMemory;
  }

  GuestMemory memory() {
    return memory;
  }

  /** Begins a request; the task is empty. */
  void begin(final BlkTask newTask) {
    task = newTask;
    fault = FAULT_NONE;
    seenWritable = false;
    lastWritable = 0;
    lastWritableLength = 0;
  }

  /**
   * Takes one buffer.
   *
   * @param guestAddress any value
   * @param lengthBytes 0..2^32-1
   */
  void add(final long guestAddress, final long lengthBytes, final boolean writable) {
    if (lengthBytes == 0) {
      fault = FAULT_EMPTY_BUFFER;
      return;
    }
    if (writable) {
      seenWritable = true;
      lastWritable = guestAddress;
      lastWritableLength = lengthBytes;
    } else if (seenWritable) {
      // Virtio 1.2, 2.7.4.2: what the device writes comes last.
      fault = FAULT_ORDER;
      return;
    }
    final long host = memory.translate(guestAddress, lengthBytes);
    if (host == 0) {
      addInParts(guestAddress, lengthBytes, writable);
    } else if (!task.append(host, lengthBytes, writable)) {
      fault = FAULT_TOO_MANY;
    }
  }

  /** A buffer that runs over the border of two regions, or out of all. */
  private void addInParts(final long guestAddress, final long lengthBytes, final boolean writable) {
    long address = guestAddress;
    long left = lengthBytes;
    while (left > 0) {
      final long part = Math.min(left, memory.contiguousLength(address));
      final long host = memory.translate(address, part);
      if (host == 0) {
        fault = FAULT_UNMAPPED;
        return;
      }
      if (!task.append(host, part, writable)) {
        fault = FAULT_TOO_MANY;
        return;
      }
      address += part;
      left -= part;
    }
  }

  /** Notes what the ring found wrong with a request that still has a status byte. */
  void fault(final int newFault) {
    fault = newFault;
  }

  int fault() {
    return fault;
  }

  /** Ends a request: finds its status byte. False if it has none in guest memory. */
  boolean findStatus() {
    if (fault == FAULT_NONE) {
      return task.takeStatusByte();
    }
    if (!seenWritable) {
      return false;
    }
    final long host = memory.translate(lastWritable + lastWritableLength - 1, 1);
    task.statusAddress(host);
    return host != 0;
  }
}

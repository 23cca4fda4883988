package io.virtnvme.slave.bdev;

import io.virtnvme.ipc.memory.Mem;

/**
 * Long runs of zeroes to be written to memory disks, one slice per step, round robin. Owned by one
 * reactor thread; fixed room, no allocation.
 */
final class ZeroFills {
  /** About 30 microseconds of work. */
  static final int SLICE_BYTES = 256 * 1024;

  private static final int CAPACITY = 64;

  private final long[] address = new long[CAPACITY];
  private final long[] remainingBytes = new long[CAPACITY];
  private final long[] tag = new long[CAPACITY];

  /** Whose disk it is, and the whole range on it. */
  private final DirtyTracking[] tracking = new DirtyTracking[CAPACITY];

  private final long[] offsetBytes = new long[CAPACITY];
  private final long[] lengthBytes = new long[CAPACITY];
  private int count;
  private int turn;

  /** False when there is no room. */
  boolean add(
      final long firstAddress,
      final long wholeBytes,
      final long requestTag,
      final DirtyTracking diskTracking,
      final long diskOffsetBytes) {
    if (count == CAPACITY) {
      return false;
    }
    address[count] = firstAddress;
    remainingBytes[count] = wholeBytes;
    tag[count] = requestTag;
    tracking[count] = diskTracking;
    offsetBytes[count] = diskOffsetBytes;
    lengthBytes[count] = wholeBytes;
    count++;
    return true;
  }

  /** Forgets everything. */
  void clear() {
    count = 0;
  }

  int count() {
    return count;
  }

  /** Writes one slice; reports its request when that was the last. Returns how many ended. */
  int step(final ReactorIo.Listener listener) {
    if (count == 0) {
      return 0;
    }
    turn = turn + 1 < count ? turn + 1 : 0;
    final long length = Math.min(SLICE_BYTES, remainingBytes[turn]);
    Mem.fill(address[turn], length, (byte) 0);
    address[turn] += length;
    remainingBytes[turn] -= length;
    if (remainingBytes[turn] > 0) {
      return 0;
    }
    final long endedTag = tag[turn];
    tracking[turn].end(offsetBytes[turn], lengthBytes[turn]);
    count--;
    address[turn] = address[count];
    remainingBytes[turn] = remainingBytes[count];
    tag[turn] = tag[count];
    tracking[turn] = tracking[count];
    offsetBytes[turn] = offsetBytes[count];
    lengthBytes[turn] = lengthBytes[count];
    listener.onIoEnd(endedTag, BlockChannel.DONE);
    return 1;
  }
}

package io.virtnvme.slave.bdev;

import io.virtnvme.ipc.memory.Mem;

/**
 * Aligned buffers for requests whose guest buffers O_DIRECT would refuse, and a run of zeroes to
 * write from. Owned by one reactor thread; fixed room.
 */
final class BouncePool implements AutoCloseable {
  static final int NONE = -1;
  static final int BUFFER_BYTES = 64 * 1024;
  static final int BUFFER_COUNT = 32;
  static final int ZERO_BYTES = 256 * 1024;

  private static final int ALIGNMENT_BYTES = 4096;

  private final long memory;
  private final long zeroes;
  private final long buffers;
  private final int[] free = new int[BUFFER_COUNT];
  private int freeCount;

  BouncePool() {
    memory = Mem.allocate(ALIGNMENT_BYTES + ZERO_BYTES + (long) BUFFER_COUNT * BUFFER_BYTES);
    zeroes = (memory + ALIGNMENT_BYTES - 1) & -ALIGNMENT_BYTES;
    buffers = zeroes + ZERO_BYTES;
    reset();
  }

  /** Makes every buffer free. */
  final void reset() {
    for (int i = 0; i < BUFFER_COUNT; i++) {
      free[i] = i;
    }
    freeCount = BUFFER_COUNT;
  }

  /** Index of a buffer, or {@link #NONE}. */
  int acquire() {
    return freeCount == 0 ? NONE : free[--freeCount];
  }

  void release(final int buffer) {
    free[freeCount++] = buffer;
  }

  long address(final int buffer) {
    return buffers + (long) buffer * BUFFER_BYTES;
  }

  /** Address of {@link #ZERO_BYTES} zeroes; nobody writes there. */
  long zeroes() {
    return zeroes;
  }

  @Override
  public void close() {
    Mem.free(memory);
  }
}

package io.virtnvme.slave.nvme;

import io.virtnvme.ipc.memory.Mem;

/**
 * A driver's side of one submission queue, by the letter of the specification and apart from the
 * code that it judges.
 */
final class TestQueue {
  final int id;
  final int size;
  final long guestAddress;
  private final long host;
  private final long doorbells;
  int tail;

  TestQueue(
      final int id,
      final int size,
      final long guestAddress,
      final long host,
      final long doorbells) {
    this.id = id;
    this.size = size;
    this.guestAddress = guestAddress;
    this.host = host;
    this.doorbells = doorbells;
  }

  /** Puts a command into the queue; its doorbell is not rung yet. */
  void add(final TestCommand command) {
    final long entry = host + tail * 64L;
    for (int i = 0; i < 16; i++) {
      Mem.putInt(entry + i * 4L, command.dwords[i]);
    }
    tail = (tail + 1) % size;
  }

  /** Overwrites an entry that the controller has told to be free, as a driver may. */
  void scribble(final int index) {
    Mem.fill(host + index * 64L, 64, (byte) 0xEE);
  }

  void ring() {
    ring(tail);
  }

  void ring(final int value) {
    Mem.putIntRelease(doorbells + id * 8L, value);
  }
}

package io.virtnvme.journal;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.virtnvme.ipc.memory.Mem;
import java.util.ArrayList;
import java.util.List;

/**
 * What a device makes of one queue pair, and what it would not forgive. It knows offsets of the
 * NVMe specification, where the queues are, and the two doorbell words; nothing of the journal.
 * Requests carry a number in dwords 2 and 3 of their command.
 */
final class DeviceQueueModel {
  record Command(int id, long request) {}

  private final TestMemory memory;
  private final int sq;
  private final int cq;
  private final int doorbells;
  private final int entryCount;
  private final List<Command> held;
  private int sqHead;
  private int sqTail;
  private int cqTail;
  private int cqHead;
  private int phase = 1;

  DeviceQueueModel(
      final TestMemory memory,
      final int sq,
      final int cq,
      final int doorbells,
      final int entryCount) {
    this.memory = memory;
    this.sq = sq;
    this.cq = cq;
    this.doorbells = doorbells;
    this.entryCount = entryCount;
    this.held = new ArrayList<>();
  }

  private DeviceQueueModel(final DeviceQueueModel other, final TestMemory memory) {
    this.memory = memory;
    this.sq = other.sq;
    this.cq = other.cq;
    this.doorbells = other.doorbells;
    this.entryCount = other.entryCount;
    this.held = new ArrayList<>(other.held);
    this.sqHead = other.sqHead;
    this.sqTail = other.sqTail;
    this.cqTail = other.cqTail;
    this.cqHead = other.cqHead;
    this.phase = other.phase;
  }

  /** The same device, with another copy of the memory. */
  DeviceQueueModel on(final TestMemory other) {
    return new DeviceQueueModel(this, other);
  }

  /** Queues that have counted so far already, with nothing in them. */
  void startAt(final long count) {
    sqHead = (int) (count % entryCount);
    sqTail = sqHead;
    cqTail = sqHead;
    cqHead = cqTail;
    phase = 1 - (int) (count / entryCount & 1);
    Mem.putInt(memory.address() + doorbells, sqTail);
    Mem.putInt(memory.address() + doorbells + 4, cqHead);
    for (int index = 0; index < entryCount; index++) {
      final int left = index < cqTail ? phase : 1 - phase;
      Mem.putInt(memory.address() + cq + index * 16L + 12, left << 16);
    }
  }

  void reset() {
    held.clear();
    Mem.fill(memory.address() + cq, entryCount * 16L, (byte) 0);
    startAt(0);
  }

  int heldCount() {
    return held.size();
  }

  boolean holds(final long request) {
    return held.stream().anyMatch(command -> command.request() == request);
  }

  /** Looks at the doorbells: neither may take back what it said, or say more than there is. */
  void look() {
    final int tail = Mem.getInt(memory.address() + doorbells);
    final int head = Mem.getInt(memory.address() + doorbells + 4);
    assertTrue(tail >= 0 && tail < entryCount, () -> "tail " + tail);
    assertTrue(head >= 0 && head < entryCount, () -> "head " + head);
    assertTrue(distance(sqHead, tail) >= distance(sqHead, sqTail), "the tail went back");
    assertTrue(distance(cqHead, head) <= distance(cqHead, cqTail), "the head went too far");
    sqTail = tail;
    cqHead = head;
  }

  private int distance(final int from, final int to) {
    return Math.floorMod(to - from, entryCount);
  }

  void fetch(final int limit) {
    look();
    for (int i = 0; i < limit && sqHead != sqTail; i++) {
      final long entry = memory.address() + sq + sqHead * 64L;
      final Command command = new Command(Mem.getUnsignedShort(entry + 2), Mem.getLong(entry + 8));
      for (final Command other : held) {
        assertTrue(other.id() != command.id(), () -> "id in use: " + command);
        assertTrue(other.request() != command.request(), () -> "submitted twice: " + command);
      }
      held.add(command);
      // What was read may be overwritten; what was not must not be.
      Mem.fill(entry, 64, (byte) 0xA5);
      sqHead = sqHead + 1 == entryCount ? 0 : sqHead + 1;
    }
  }

  /** Ends one of the commands it holds. */
  void complete(final int choice) {
    look();
    if (held.isEmpty()) {
      return;
    }
    assertTrue(distance(cqHead, cqTail) < entryCount - 1, "the completion queue is full");
    final Command command = held.remove(choice % held.size());
    final long entry = memory.address() + cq + cqTail * 16L;
    Mem.putInt(entry + 8, sqHead | 1 << 16);
    Mem.putInt(entry + 12, command.id() | phase << 16);
    cqTail++;
    if (cqTail == entryCount) {
      cqTail = 0;
      phase = 1 - phase;
    }
  }

  /** Everything was told and ended. */
  void checkIdle() {
    look();
    assertEquals(0, held.size());
    assertEquals(sqHead, sqTail);
    assertEquals(cqHead, cqTail);
  }
}

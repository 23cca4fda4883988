package io.virtnvme.journal;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.virtnvme.ipc.memory.Mem;
import io.virtnvme.ipc.nvme.CompletionEntry;
import io.virtnvme.ipc.nvme.queue.DeviceQueueGeometry;
import io.virtnvme.ipc.nvme.queue.DeviceQueueSegment;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.List;
import java.util.Set;
import java.util.TreeSet;

/**
 * One life of the driver of a device's queue pair, between a front-end's journal (the set of
 * requests that were fetched and not completed) and the device. What is done here in a few lines is
 * the contract that the slave's disk keeps.
 */
final class DeviceQueueLife {
  private final TestMemory memory;
  private final DeviceQueueJournal journal;
  private final int slotCount;
  private final long[] requestOf;
  private final ArrayDeque<Integer> free = new ArrayDeque<>();
  private final ArrayDeque<Long> waiting = new ArrayDeque<>();
  private int adoptedCount;

  DeviceQueueLife(
      final TestMemory memory, final DeviceQueueGeometry geometry, final int doorbellOffset) {
    this.memory = memory;
    this.slotCount = geometry.slotCount();
    this.requestOf = new long[slotCount];
    this.journal =
        new DeviceQueueJournal(
            memory.address(),
            geometry,
            memory.address() + doorbellOffset,
            memory.address() + doorbellOffset + 4L);
  }

  private long owner(final int slot) {
    return memory.address()
        + DeviceQueueSegment.slotOffset(slot)
        + DeviceQueueSegment.SESSION_OFFSET;
  }

  /**
   * Takes the queue pair. A request of the front-end's journal that the device may hold is waited
   * for; the others are submitted, when every held one that nobody wants has ended.
   */
  void start(final Set<Long> inFlight) {
    assertTrue(journal.isOpen());
    final int[] held = new int[slotCount];
    final int heldCount = journal.join(held);
    assertTrue(heldCount >= 0, "refused");
    assertEquals(0, journal.takeInconsistencies());
    final Set<Long> adopted = new TreeSet<>();
    final boolean[] isHeld = new boolean[slotCount];
    for (int i = 0; i < heldCount; i++) {
      final long request = Mem.getLong(owner(held[i]));
      assertTrue(inFlight.contains(request), () -> "held for nobody: " + request);
      assertTrue(adopted.add(request), () -> "held twice: " + request);
      requestOf[held[i]] = request;
      isHeld[held[i]] = true;
    }
    adoptedCount = heldCount;
    free.clear();
    for (int slot = 0; slot < slotCount; slot++) {
      if (!isHeld[slot]) {
        free.add(slot);
      }
    }
    waiting.clear();
    for (final long request : inFlight) {
      if (!adopted.contains(request)) {
        waiting.add(request);
      }
    }
    proceed();
  }

  int adoptedCount() {
    return adoptedCount;
  }

  boolean isJoined() {
    return journal.isJoined();
  }

  /** Takes a request, which is in the front-end's journal already. */
  void submit(final long request) {
    waiting.add(request);
    proceed();
  }

  private void proceed() {
    while (!waiting.isEmpty() && !free.isEmpty()) {
      final int slot = free.remove();
      final long request = waiting.remove();
      requestOf[slot] = request;
      Mem.putLong(owner(slot), request);
      final long entry = journal.entry();
      Mem.putInt(entry, slot << 16 | 1);
      Mem.putLong(entry + 8, request);
      journal.submit(slot);
    }
  }

  /** Submits what found no free slot. */
  void submitWaiting() {
    proceed();
  }

  void ring() {
    journal.ring();
  }

  /** Reaps completions; the front-end is told by the caller, at the end. */
  List<Long> poll(final int limit) {
    final List<Long> ended = new ArrayList<>();
    while (ended.size() < limit) {
      final int completion = journal.peek();
      if (completion == DeviceQueueJournal.NONE) {
        break;
      }
      final int slot = CompletionEntry.commandId(completion);
      assertTrue(journal.isInFlight(slot), () -> "unknown id " + slot);
      assertTrue(journal.isOfQueue(1));
      journal.reap(slot);
      assertFalse(journal.isInFlight(slot));
      ended.add(requestOf[slot]);
      free.add(slot);
    }
    journal.release();
    return ended;
  }
}

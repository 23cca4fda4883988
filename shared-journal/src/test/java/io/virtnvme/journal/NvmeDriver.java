package io.virtnvme.journal;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.virtnvme.ipc.memory.Mem;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.BitSet;
import java.util.List;

/**
 * The judge: the driver's side of a controller's queues. It knows what it submitted and what the
 * completion queue says, and nothing of the journals. Takes identifiers and entries again as soon
 * as it may, and overwrites each entry with garbage when a completion reports that it was fetched.
 */
final class NvmeDriver {
  /** One submission queue, as its driver sees it. */
  private static final class Sq {
    private final List<Integer> tags;
    private final BitSet completed;

    /** Position of the command that has an identifier, or -1. */
    private final int[] positions;

    private int tail;
    private int head;
    private int completedCount;

    Sq(final int sqSize, final int start) {
      this.tags = new ArrayList<>();
      this.completed = new BitSet();
      this.positions = new int[2 * sqSize];
      this.tail = start;
      this.head = start;
      Arrays.fill(positions, -1);
    }

    Sq(final Sq other) {
      this.tags = new ArrayList<>(other.tags);
      this.completed = (BitSet) other.completed.clone();
      this.positions = other.positions.clone();
      this.tail = other.tail;
      this.head = other.head;
      this.completedCount = other.completedCount;
    }
  }

  private final NvmeArea area;
  private final TestMemory memory;
  private final Sq[] queues;
  private int cqHead;
  private int cqPhase;
  private int lastTag;

  /** The driver of queues as {@link NvmeArea#initialise} leaves them. */
  NvmeDriver(final NvmeArea area, final TestMemory memory) {
    this.area = area;
    this.memory = memory;
    this.queues = new Sq[area.sqCount];
    for (int queue = 0; queue < area.sqCount; queue++) {
      queues[queue] =
          new Sq(area.sqSize, (int) Long.remainderUnsigned(area.fetchedBase, area.sqSize));
    }
    cqHead = (int) Long.remainderUnsigned(area.postedBase, area.cqSize);
    cqPhase = 1 - (int) (Long.divideUnsigned(area.postedBase, area.cqSize) & 1);
  }

  private NvmeDriver(final NvmeDriver other, final TestMemory memory) {
    this.area = other.area;
    this.memory = memory;
    this.queues = new Sq[area.sqCount];
    for (int queue = 0; queue < area.sqCount; queue++) {
      queues[queue] = new Sq(other.queues[queue]);
    }
    cqHead = other.cqHead;
    cqPhase = other.cqPhase;
    lastTag = other.lastTag;
  }

  /** The same driver, looking at other memory. */
  NvmeDriver on(final TestMemory otherMemory) {
    return new NvmeDriver(this, otherMemory);
  }

  /** The 64 bytes of a command, of which the lower half of dword 0 is opcode and flags. */
  static long commandWord(final int tag, final int commandId, final int index) {
    final long word = (tag * 0x9E37_79B9_7F4A_7C15L) ^ (index * 0xC2B2_AE3D_27D4_EB4FL);
    return index == 0 ? (word & ~0xFFFF_0000L) | ((long) commandId << 16) : word;
  }

  /** What the controller must answer: a digest of all it was given. */
  static int digest(final long[] command) {
    long digest = 17;
    for (final long word : command) {
      digest = (digest ^ word) * 0x1000_0000_01B3L;
      digest ^= digest >>> 29;
    }
    return (int) (digest ^ (digest >>> 32));
  }

  static int status(final int digest) {
    return (digest >>> 9) & 0x7FFF;
  }

  /** Submits one command and rings the doorbell; false if there is no room for it. */
  boolean submit(final int queue) {
    final Sq sq = queues[queue];
    final int next = (sq.tail + 1) % area.sqSize;
    int commandId = 0;
    while (commandId < sq.positions.length && sq.positions[commandId] >= 0) {
      commandId++;
    }
    if (next == sq.head || commandId == sq.positions.length) {
      return false;
    }
    final int tag = ++lastTag;
    for (int i = 0; i < 8; i++) {
      Mem.putLong(area.sqEntry(memory, queue, sq.tail) + 8L * i, commandWord(tag, commandId, i));
    }
    sq.positions[commandId] = sq.tags.size();
    sq.tags.add(tag);
    sq.tail = next;
    area.sqTail(memory, queue, next);
    return true;
  }

  /** Takes at most so many completions, and rings the doorbell. */
  void poll(final int limit) {
    for (int i = 0; i < limit; i++) {
      final long entry = area.cqEntry(memory, cqHead);
      final int last = Mem.getInt(entry + 12);
      if (((last >>> 16) & 1) != cqPhase) {
        break;
      }
      final int queue = (Mem.getInt(entry + 8) >>> 16) - NvmeArea.QUEUE_ID_BASE;
      assertTrue(queue >= 0 && queue < area.sqCount, () -> "unknown queue: " + queue);
      onCompletion(
          queue, last & 0xFFFF, last >>> 17, Mem.getInt(entry), Mem.getInt(entry + 8) & 0xFFFF);
      assertEquals(0, Mem.getInt(entry + 4));
      cqHead++;
      if (cqHead == area.cqSize) {
        cqHead = 0;
        cqPhase = 1 - cqPhase;
      }
    }
    area.cqHead(memory, cqHead);
  }

  void pollAll() {
    poll(Integer.MAX_VALUE);
  }

  private void onCompletion(
      final int queue, final int commandId, final int status, final int result, final int head) {
    final Sq sq = queues[queue];
    assertTrue(
        commandId < sq.positions.length && sq.positions[commandId] >= 0,
        () -> "completed twice, or made up: queue=" + queue + " cid=" + commandId);
    final int position = sq.positions[commandId];
    final long[] command = new long[8];
    for (int i = 0; i < command.length; i++) {
      command[i] = commandWord(sq.tags.get(position), commandId, i);
    }
    assertEquals(digest(command), result, "completed with the answer to something else");
    assertEquals(status(digest(command)), status);
    sq.positions[commandId] = -1;
    sq.completed.set(position);
    sq.completedCount++;
    final int moved = Math.floorMod(head - sq.head, area.sqSize);
    assertTrue(
        head < area.sqSize && moved <= Math.floorMod(sq.tail - sq.head, area.sqSize),
        () -> "SQ head goes back, or past what was submitted: " + sq.head + " to " + head);
    for (int i = 0; i < moved; i++) {
      Mem.fill(area.sqEntry(memory, queue, (sq.head + i) % area.sqSize), 64, (byte) 0xEE);
    }
    sq.head = head;
  }

  /** A queue was deleted and created again: what was outstanding never completes. */
  void onRecreated(final int queue) {
    queues[queue] = new Sq(area.sqSize, 0);
    area.sqTail(memory, queue, 0);
  }

  /** The completion queue was deleted and created again, in zeroed memory. */
  void onCompletionQueueRecreated() {
    Mem.fill(area.cqEntry(memory, 0), (long) area.cqSize * NvmeArea.CQ_ENTRY, (byte) 0);
    cqHead = 0;
    cqPhase = 1;
    area.cqHead(memory, 0);
  }

  boolean isAllCompleted() {
    for (final Sq sq : queues) {
      if (sq.completedCount != sq.tags.size()) {
        return false;
      }
    }
    return true;
  }

  /**
   * Judges a recovery, after all completions have been taken: the commands fetched are those up to
   * some position; all of them that were not completed must be there, in that order, once.
   *
   * @param recovered answers to the commands that are submitted again, in order
   * @return how many were fetched
   */
  int checkRecovered(
      final int queue, final List<Integer> recovered, final int fetchedMin, final int fetchedMax) {
    final Sq sq = queues[queue];
    final int fetched = sq.completedCount + recovered.size();
    assertTrue(
        fetched >= fetchedMin && fetched <= fetchedMax,
        () -> "fetched " + fetched + ", expected " + fetchedMin + ".." + fetchedMax);
    final List<Integer> expected = new ArrayList<>();
    for (int position = 0; position < fetched; position++) {
      if (!sq.completed.get(position)) {
        expected.add(answerAt(sq, position));
      }
    }
    assertEquals(expected, recovered);
    return fetched;
  }

  private static int answerAt(final Sq sq, final int position) {
    for (int commandId = 0; commandId < sq.positions.length; commandId++) {
      if (sq.positions[commandId] == position) {
        final long[] command = new long[8];
        for (int i = 0; i < command.length; i++) {
          command[i] = commandWord(sq.tags.get(position), commandId, i);
        }
        return digest(command);
      }
    }
    throw new AssertionError("not outstanding: " + position);
  }
}

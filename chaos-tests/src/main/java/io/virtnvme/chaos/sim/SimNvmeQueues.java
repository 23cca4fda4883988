package io.virtnvme.chaos.sim;

import io.virtnvme.ipc.memory.Mem;
import io.virtnvme.ipc.nvme.CompletionEntry;
import io.virtnvme.ipc.nvme.SubmissionEntry;

/** The rings of a driver, by the letter of the specification; wrong use of them is a violation. */
final class SimNvmeQueues {
  private static final byte RUBBISH = (byte) 0xEE;
  private static final int GENERATION_SHIFT = 8;
  private static final int GENERATION_MASK = 0xFF;

  private SimNvmeQueues() {}

  /** What is done with a completion. */
  interface Handler {
    void onCompleted(int status, int result);
  }

  /** A command without its completion. */
  static final class Outstanding {
    final Handler handler;

    /** Null for an admin command. */
    final NvmeOracle.Command command;

    /** Guest address of its data. */
    final long buffer;

    Outstanding(final Handler handler, final NvmeOracle.Command command, final long buffer) {
      this.handler = handler;
      this.command = command;
      this.buffer = buffer;
    }
  }

  /** A submission queue. */
  static final class Submission {
    final int id;
    final int entryCount;
    final Completion completion;

    /** By tag: the low bits of a command id. */
    final Outstanding[] outstanding;

    private final long entries;
    private final boolean hasGenerations;
    private final int[] generations;
    private int tail;
    private int head;

    /** No more commands: it is being deleted. */
    boolean isClosed;

    Submission(
        final int id,
        final int entryCount,
        final long entries,
        final Completion completion,
        final boolean hasGenerations) {
      this.id = id;
      this.entryCount = entryCount;
      this.entries = entries;
      this.completion = completion;
      this.outstanding = new Outstanding[entryCount];
      this.generations = new int[entryCount];
      this.hasGenerations = hasGenerations;
    }

    int tail() {
      return tail;
    }

    /** A tag that is free, or -1 when the queue has no room. */
    int freeTag() {
      if ((tail + 1) % entryCount == head) {
        return -1;
      }
      for (int tag = 0; tag < entryCount; tag++) {
        if (outstanding[tag] == null) {
          return tag;
        }
      }
      return -1;
    }

    /** Address of the next entry, zeroed but for dword 0. */
    long begin(final int opcode, final int tag, final Outstanding command) {
      if (hasGenerations) {
        generations[tag] = (generations[tag] + 1) & GENERATION_MASK;
      }
      outstanding[tag] = command;
      final long entry = entries + (long) tail * SubmissionEntry.ENTRY_LENGTH;
      Mem.fill(entry, SubmissionEntry.ENTRY_LENGTH, (byte) 0);
      Mem.putInt(entry, SubmissionEntry.dword0(opcode, generations[tag] << GENERATION_SHIFT | tag));
      tail = (tail + 1) % entryCount;
      return entry;
    }

    /** The command that a completion is for; it is not outstanding any more. */
    private Outstanding take(final int commandId) {
      final int tag = commandId & ((1 << GENERATION_SHIFT) - 1);
      if (tag >= entryCount
          || outstanding[tag] == null
          || generations[tag] != commandId >>> GENERATION_SHIFT) {
        throw new Violation(
            "a completion that no command explains, or a second one: queue="
                + id
                + " command id="
                + commandId);
      }
      final Outstanding command = outstanding[tag];
      outstanding[tag] = null;
      return command;
    }

    /** Entries up to the reported head are the driver's again: it writes rubbish there. */
    private void moveHead(final int newHead) {
      if (newHead >= entryCount
          || Math.floorMod(newHead - head, entryCount) > Math.floorMod(tail - head, entryCount)) {
        throw new Violation(
            "submission queue "
                + id
                + ": reported head="
                + newHead
                + " after "
                + head
                + " with tail="
                + tail);
      }
      while (head != newHead) {
        Mem.fill(
            entries + (long) head * SubmissionEntry.ENTRY_LENGTH,
            SubmissionEntry.ENTRY_LENGTH,
            RUBBISH);
        head = (head + 1) % entryCount;
      }
    }

    int inFlightCount() {
      int count = 0;
      for (final Outstanding command : outstanding) {
        count += command == null ? 0 : 1;
      }
      return count;
    }
  }

  /** Finds a submission queue by its id; null when there is none. */
  interface Queues {
    Submission find(int id);
  }

  /** A completion queue. */
  static final class Completion {
    final int id;
    final int entryCount;
    final int vector;

    private final long entries;
    private final int[] seen;
    private boolean phase = true;
    private int head;

    /** Completions that were read and not given back. */
    private int heldCount;

    /** The driver looks only when it was called. */
    boolean isWaiting;

    /** It is being deleted: nobody looks any more. */
    boolean isClosed;

    Completion(final int id, final int entryCount, final int vector, final long entries) {
      this.id = id;
      this.entryCount = entryCount;
      this.vector = vector;
      this.entries = entries;
      this.seen = new int[entryCount];
      Mem.fill(entries, (long) entryCount * CompletionEntry.ENTRY_LENGTH, (byte) 0);
    }

    /** Takes one completion; false when there is none. */
    boolean poll(final Queues queues) {
      final long entry = entry(head);
      final int dword3 = Mem.getIntAcquire(entry + CompletionEntry.DWORD3_OFFSET);
      if (CompletionEntry.phase(dword3) != phase) {
        return false;
      }
      if (heldCount == entryCount - 1) {
        throw new Violation(
            "completion queue " + id + " is overrun: " + heldCount + " entries are the driver's");
      }
      final int dword2 = Mem.getInt(entry + CompletionEntry.DWORD2_OFFSET);
      final int result = Mem.getInt(entry + CompletionEntry.RESULT_OFFSET);
      final Submission queue = queues.find(CompletionEntry.sqId(dword2));
      if (queue == null || queue.completion != this) {
        throw new Violation(
            "completion queue "
                + id
                + " has a completion of submission queue "
                + CompletionEntry.sqId(dword2)
                + ", which is none of its own");
      }
      seen[head] = dword3;
      head++;
      if (head == entryCount) {
        head = 0;
        phase = !phase;
      }
      heldCount++;
      final Outstanding command = queue.take(CompletionEntry.commandId(dword3));
      queue.moveHead(CompletionEntry.sqHead(dword2));
      command.handler.onCompleted(CompletionEntry.status(dword3), result);
      return true;
    }

    private long entry(final int index) {
      return entries + (long) index * CompletionEntry.ENTRY_LENGTH;
    }

    /** Gives all entries back that were read; the new head, or -1 when there are none. */
    int release() {
      if (heldCount == 0) {
        return -1;
      }
      for (; heldCount > 0; heldCount--) {
        final int index = Math.floorMod(head - heldCount, entryCount);
        if (Mem.getInt(entry(index) + CompletionEntry.DWORD3_OFFSET) != seen[index]) {
          throw new Violation(
              "completion queue " + id + ": entry " + index + " changed while it was the driver's");
        }
      }
      return head;
    }
  }
}

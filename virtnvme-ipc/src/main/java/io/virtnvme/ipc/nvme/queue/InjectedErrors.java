package io.virtnvme.ipc.nvme.queue;

import io.virtnvme.ipc.memory.LayoutText;
import io.virtnvme.ipc.memory.Mem;
import java.util.ArrayList;
import java.util.List;

/**
 * Errors that an operator has a slave make up for commands of one queue pair: a table in its {@link
 * DeviceQueueSegment}, so that they go on where a dead slave stopped. Little endian.
 *
 * <pre>
 *  entry:
 *  0      +-------------------------------+
 *         | until: in effect while used   |  master
 *         | is below                      |
 *  8      +-------------------------------+
 *         | used: errors made up so far   |  slave; only grows
 *  16     +---------------+---------------+
 *         | rule          | spare         |  master
 *  32     +---------------+---------------+
 *
 *  rule: status (16 bits), 0 (7), 1 = the device does not get the command (1), opcode (8)
 * </pre>
 *
 * <p>Each word has one writer. A slave that reads while an entry is replaced may apply the new rule
 * within the old limit: one error more, of a kind that was asked for.
 */
public final class InjectedErrors {
  /** Opcodes that can have errors at once. */
  public static final int ENTRY_COUNT = 8;

  public static final int UNTIL_OFFSET = 0;
  public static final int USED_OFFSET = UNTIL_OFFSET + Long.BYTES;
  public static final int RULE_OFFSET = USED_OFFSET + Long.BYTES;
  public static final int ENTRY_LENGTH = 32;

  private static final int OPCODE_MASK = 0xFF;
  private static final int NOT_SUBMITTED = 1 << 8;
  private static final int STATUS_SHIFT = 16;

  /**
   * An entry that is in effect.
   *
   * @param isSubmitted whether the device gets the command, and its good end is replaced
   * @param status type and code, as in {@link io.virtnvme.ipc.nvme.Status}
   * @param left errors still to be made up
   */
  public record Entry(int opcode, boolean isSubmitted, int status, long left) {}

  private InjectedErrors() {}

  private static long entry(final long segment, final int index) {
    return segment + DeviceQueueSegment.INJECTIONS_OFFSET + (long) index * ENTRY_LENGTH;
  }

  private static long left(final long entry) {
    return Mem.getLongAcquire(entry + UNTIL_OFFSET) - Mem.getLongAcquire(entry + USED_OFFSET);
  }

  private static int rule(final int opcode, final boolean isSubmitted) {
    return (opcode & OPCODE_MASK) | (isSubmitted ? 0 : NOT_SUBMITTED);
  }

  /** Whether {@link #add} has room for errors of this opcode. Master. */
  public static boolean fits(final long segment, final int opcode) {
    for (int i = 0; i < ENTRY_COUNT; i++) {
      final long entry = entry(segment, i);
      if (left(entry) <= 0 || isOf(entry, opcode)) {
        return true;
      }
    }
    return false;
  }

  private static boolean isOf(final long entry, final int opcode) {
    return (Mem.getIntAcquire(entry + RULE_OFFSET) & OPCODE_MASK) == (opcode & OPCODE_MASK);
  }

  /**
   * Has the next commands with this opcode fail, instead of what was asked for this opcode before.
   * Master.
   *
   * @param status not {@link io.virtnvme.ipc.nvme.Status#SUCCESS}, 11 bits
   * @return false when too many opcodes have errors already; nothing was changed then
   */
  public static boolean add(
      final long segment,
      final int opcode,
      final boolean isSubmitted,
      final int status,
      final long count) {
    if (!fits(segment, opcode)) {
      return false;
    }
    end(segment, opcode);
    for (int i = 0; i < ENTRY_COUNT; i++) {
      final long entry = entry(segment, i);
      if (left(entry) <= 0) {
        Mem.putIntRelease(
            entry + RULE_OFFSET, rule(opcode, isSubmitted) | (status << STATUS_SHIFT));
        // First: an entry in effect that no slave looks for would stay for ever.
        Mem.putIntRelease(segment + DeviceQueueSegment.INJECTING_OFFSET, 1);
        Mem.putLongRelease(entry + UNTIL_OFFSET, Mem.getLongAcquire(entry + USED_OFFSET) + count);
        return true;
      }
    }
    return false;
  }

  /** Commands with this opcode fail no more. Master. */
  public static void end(final long segment, final int opcode) {
    for (int i = 0; i < ENTRY_COUNT; i++) {
      final long entry = entry(segment, i);
      if (left(entry) > 0 && isOf(entry, opcode)) {
        Mem.putLongRelease(entry + UNTIL_OFFSET, 0);
      }
    }
    settle(segment);
  }

  /** Lets the slave look for errors no more when all of them are used up. Master. */
  public static void settle(final long segment) {
    if (mayBe(segment) && entries(segment).isEmpty()) {
      Mem.putIntRelease(segment + DeviceQueueSegment.INJECTING_OFFSET, 0);
    }
  }

  /** What is in effect. */
  public static List<Entry> entries(final long segment) {
    final List<Entry> entries = new ArrayList<>();
    for (int i = 0; i < ENTRY_COUNT; i++) {
      final long entry = entry(segment, i);
      final long left = left(entry);
      if (left > 0) {
        final int rule = Mem.getIntAcquire(entry + RULE_OFFSET);
        entries.add(
            new Entry(
                rule & OPCODE_MASK, (rule & NOT_SUBMITTED) == 0, rule >>> STATUS_SHIFT, left));
      }
    }
    return entries;
  }

  /** Whether {@link #take} may have something to say. The slave that drives the queue. */
  public static boolean mayBe(final long segment) {
    return Mem.getIntAcquire(segment + DeviceQueueSegment.INJECTING_OFFSET) != 0;
  }

  /**
   * The status that a command is to end with, once. The slave that drives the queue.
   *
   * @param isSubmitted whether the device has ended the command; false: it does not have it yet
   * @return {@link io.virtnvme.ipc.nvme.Status#SUCCESS}: none is to be made up
   */
  public static int take(final long segment, final int opcode, final boolean isSubmitted) {
    for (int i = 0; i < ENTRY_COUNT; i++) {
      final long entry = entry(segment, i);
      if (left(entry) > 0) {
        final int rule = Mem.getIntAcquire(entry + RULE_OFFSET);
        if ((rule & (OPCODE_MASK | NOT_SUBMITTED)) == rule(opcode, isSubmitted)) {
          final long used = entry + USED_OFFSET;
          Mem.putLongRelease(used, Mem.getLong(used) + 1);
          return rule >>> STATUS_SHIFT;
        }
      }
    }
    return 0;
  }

  /** Offset, length and name of each field, as the golden test wants them. */
  static String describe() {
    return LayoutText.of("injected error", ENTRY_LENGTH)
        .field("until", UNTIL_OFFSET, Long.BYTES)
        .field("used", USED_OFFSET, Long.BYTES)
        .field("rule", RULE_OFFSET, Integer.BYTES)
        .text();
  }
}

package io.virtnvme.slave.session;

import io.virtnvme.ipc.sys.Fds;
import java.util.Arrays;
import java.util.BitSet;
import java.util.HashSet;
import java.util.Set;

/** Descriptors by slot, -1 where there is none. Control thread. */
final class SlotTable {
  private SlotTable() {}

  static int[] empty() {
    final int[] table = new int[FdSlots.COUNT];
    Arrays.fill(table, -1);
    return table;
  }

  /**
   * The table of a state that was read from a record; throws {@link SessionException} unless each
   * slot that it says is held, and no other, has one descriptor.
   */
  static int[] of(final SessionState state, final int[] slots, final int[] fds) {
    final int[] table = empty();
    final BitSet held = state.slots();
    if (slots.length != fds.length) {
      throw new SessionException(
          "slots and descriptors differ: slots=" + slots.length + " fds=" + fds.length);
    }
    for (int i = 0; i < slots.length; i++) {
      if (slots[i] < 0 || slots[i] >= FdSlots.COUNT || !held.get(slots[i])) {
        throw new SessionException("a descriptor for a slot that holds none: slot=" + slots[i]);
      }
      if (table[slots[i]] >= 0) {
        throw new SessionException("two descriptors for one slot: slot=" + slots[i]);
      }
      table[slots[i]] = fds[i];
    }
    for (int slot = held.nextSetBit(0); slot >= 0; slot = held.nextSetBit(slot + 1)) {
      if (table[slot] < 0) {
        throw new SessionException("no descriptor for the " + FdSlots.name(slot));
      }
    }
    return table;
  }

  /** Empties every slot that is not held. */
  static void clearExcept(final int[] table, final BitSet held) {
    for (int slot = held.nextClearBit(0); slot < table.length; slot = held.nextClearBit(slot + 1)) {
      table[slot] = -1;
    }
  }

  static void close(final int[] fds) {
    for (final int fd : fds) {
      Fds.close(fd);
    }
  }

  /** Closes the descriptors that are not in the table. */
  static void closeExcept(final int[] fds, final int[] table) {
    final Set<Integer> kept = new HashSet<>();
    for (final int fd : table) {
      kept.add(fd);
    }
    for (final int fd : fds) {
      if (!kept.contains(fd)) {
        Fds.close(fd);
      }
    }
  }
}

package io.virtnvme.slave.session;

import io.virtnvme.ipc.sys.Fds;
import java.util.Arrays;
import java.util.BitSet;
import java.util.HashSet;
import java.util.Set;
import java.util.function.IntFunction;

/** Descriptors by slot, -1 where there is none. Control thread. */
public final class SlotTable {
  private SlotTable() {}

  /** A table without descriptors. */
  public static int[] empty(final int slotCount) {
    final int[] table = new int[slotCount];
    Arrays.fill(table, -1);
    return table;
  }

  /**
   * The table of a state that was read from a record; throws {@link SessionException} unless each
   * slot that it says is held, and no other, has one descriptor.
   *
   * @param names what a slot is for
   */
  public static int[] of(
      final BitSet held,
      final int slotCount,
      final IntFunction<String> names,
      final int[] slots,
      final int[] fds) {
    final int[] table = empty(slotCount);
    if (slots.length != fds.length) {
      throw new SessionException(
          "slots and descriptors differ: slots=" + slots.length + " fds=" + fds.length);
    }
    for (int i = 0; i < slots.length; i++) {
      if (slots[i] < 0 || slots[i] >= slotCount || !held.get(slots[i])) {
        throw new SessionException("a descriptor for a slot that holds none: slot=" + slots[i]);
      }
      if (table[slots[i]] >= 0) {
        throw new SessionException("two descriptors for one slot: slot=" + slots[i]);
      }
      table[slots[i]] = fds[i];
    }
    for (int slot = held.nextSetBit(0); slot >= 0; slot = held.nextSetBit(slot + 1)) {
      if (table[slot] < 0) {
        throw new SessionException("no descriptor for the " + names.apply(slot));
      }
    }
    return table;
  }

  /** Empties every slot that is not held. */
  public static void clearExcept(final int[] table, final BitSet held) {
    for (int slot = held.nextClearBit(0); slot < table.length; slot = held.nextClearBit(slot + 1)) {
      table[slot] = -1;
    }
  }

  /** Closes all of them. */
  public static void close(final int[] fds) {
    for (final int fd : fds) {
      Fds.close(fd);
    }
  }

  /** Closes the descriptors that are not in the table. */
  public static void closeExcept(final int[] fds, final int[] table) {
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

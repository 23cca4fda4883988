package io.virtnvme.slave.session;

import java.util.ArrayList;
import java.util.BitSet;
import java.util.List;

/**
 * What a message did with a session's descriptors, as its {@link Answer} tells the master.
 * Immutable; control thread.
 *
 * @param slots the slots that changed
 * @param sources for each: an index of the message's descriptors, {@link Answer#NEW_FD} and up for
 *     the answer's own, or {@link Answer#EMPTY}
 */
@SuppressWarnings("ArrayRecordComponent") // never changed
public record SlotChanges(int[] slots, int[] sources) {
  public static final SlotChanges NONE = new SlotChanges(new int[0], new int[0]);

  /**
   * The changes from one set of held slots to the next.
   *
   * @param slotsOfFds slot of each of the message's descriptors, -1 for one that is not kept
   * @param slotsOfNew slot of each descriptor that this process made
   */
  public static SlotChanges of(
      final BitSet heldBefore,
      final BitSet heldAfter,
      final int[] slotsOfFds,
      final int... slotsOfNew) {
    final List<int[]> changes = new ArrayList<>();
    for (int i = 0; i < slotsOfFds.length; i++) {
      if (slotsOfFds[i] >= 0) {
        changes.add(new int[] {slotsOfFds[i], i});
      }
    }
    for (int i = 0; i < slotsOfNew.length; i++) {
      changes.add(new int[] {slotsOfNew[i], Answer.NEW_FD + i});
    }
    final BitSet emptied = (BitSet) heldBefore.clone();
    emptied.andNot(heldAfter);
    emptied.stream().forEach(slot -> changes.add(new int[] {slot, Answer.EMPTY}));
    return new SlotChanges(
        changes.stream().mapToInt(change -> change[0]).toArray(),
        changes.stream().mapToInt(change -> change[1]).toArray());
  }

  public boolean isEmpty() {
    return slots.length == 0;
  }
}

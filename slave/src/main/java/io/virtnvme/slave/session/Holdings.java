package io.virtnvme.slave.session;

import java.util.BitSet;

/**
 * The descriptors and mappings of a session, which change together. Control thread.
 *
 * @param <M> what is mapped; immutable, made from what was mapped before
 */
public final class Holdings<M extends Holdings.Mapped<M>> {
  /** What a session has mapped at one time. */
  public interface Mapped<M> {
    /** Unmaps what the other one has not taken over; no thread may use it any more. */
    void unmapExcept(M kept);
  }

  private final M nothing;
  private int[] fds;
  private M memory;

  /** None yet. */
  public Holdings(final int slotCount, final M nothing) {
    this.nothing = nothing;
    this.fds = SlotTable.empty(slotCount);
    this.memory = nothing;
  }

  /** What is mapped. */
  public M memory() {
    return memory;
  }

  /** The descriptor in a slot, or -1; stays the session's. */
  public int fd(final int slot) {
    return fds[slot];
  }

  /** A copy of the table. */
  public int[] fds() {
    return fds.clone();
  }

  /** The descriptors in these slots, ascending. */
  public int[] fdsOf(final BitSet slots) {
    return slots.stream().map(slot -> fds[slot]).toArray();
  }

  /**
   * Takes over descriptors and mappings, and ends those that are not among them.
   *
   * @param received descriptors that came, in use or not
   */
  public void replace(final int[] table, final M mapped, final int[] received) {
    final M ended = memory;
    final int[] endedFds = fds;
    memory = mapped;
    fds = table;
    ended.unmapExcept(mapped);
    SlotTable.closeExcept(endedFds, table);
    SlotTable.closeExcept(received, table);
  }

  /** Ends all of them. */
  public void release() {
    replace(SlotTable.empty(fds.length), nothing, new int[0]);
  }
}

package io.virtnvme.journal;

import static io.virtnvme.ipc.nvme.queue.DeviceQueueSegment.CREATION_OFFSET;
import static io.virtnvme.ipc.nvme.queue.DeviceQueueSegment.GATE_OFFSET;
import static io.virtnvme.ipc.nvme.queue.DeviceQueueSegment.GATE_SEEN_OFFSET;
import static io.virtnvme.ipc.nvme.queue.DeviceQueueSegment.JOINED_OFFSET;
import static io.virtnvme.ipc.nvme.queue.DeviceQueueSegment.PLACE_OFFSET;
import static io.virtnvme.ipc.nvme.queue.DeviceQueueSegment.REAPED_OFFSET;
import static io.virtnvme.ipc.nvme.queue.DeviceQueueSegment.RELEASED_OFFSET;
import static io.virtnvme.ipc.nvme.queue.DeviceQueueSegment.RUNG_OFFSET;
import static io.virtnvme.ipc.nvme.queue.DeviceQueueSegment.SUBMITTED_OFFSET;

import io.virtnvme.ipc.memory.Mem;
import io.virtnvme.ipc.nvme.CompletionEntry;
import io.virtnvme.ipc.nvme.SubmissionEntry;
import io.virtnvme.ipc.nvme.queue.DeviceQueueGeometry;
import io.virtnvme.ipc.nvme.queue.DeviceQueueSegment;
import io.virtnvme.journal.DeviceQueueRecovery.Bell;
import io.virtnvme.journal.DeviceQueueRecovery.Entry;
import io.virtnvme.journal.DeviceQueueRecovery.HeaderCase;
import io.virtnvme.journal.DeviceQueueRecovery.Place;
import io.virtnvme.journal.DeviceQueueRecovery.SlotCase;
import java.lang.invoke.VarHandle;

/**
 * The driver's end of an I/O queue pair of a real device, and its journal: which commands the
 * device holds, so that a successor waits for them instead of submitting them again. The reactor
 * thread that owns the queue pair; nothing allocates, blocks or throws.
 *
 * <p>Submit: the entry and the slot's fields; {@code place} (release); {@code submitted} (release,
 * the commit). Ring: the doorbell, then {@code rung}. A completion: {@code place}, then {@code
 * reaped}; then whoever waits is told. Release: the doorbell, then {@code released}. A death
 * between a doorbell and the count behind it makes the successor ring once more, with the same
 * value, which tells the device nothing new.
 *
 * <p>No command is submitted beyond the slots, which are fewer than the entries: neither queue can
 * overflow, so the head that completions report is not needed.
 */
public final class DeviceQueueJournal {
  /** Of {@link #join}: the journal is damaged; nothing was stored. */
  public static final int REFUSED = -1;

  /** Of {@link #peek}: no completion. */
  public static final int NONE = -1;

  private final long segment;
  private final long slots;
  private final long sq;
  private final long cq;
  private final int entryCount;
  private final int slotCount;
  private final long sqDoorbell;
  private final long cqDoorbell;

  private long joined;
  private long submitted;
  private long rung;
  private long reaped;
  private long released;
  private int sqTail;
  private int cqHead;
  private boolean phase;
  private int inconsistencyCount;

  /**
   * Looks at nothing and stores nothing yet.
   *
   * @param segment address of the queue pair's segment, checked with its geometry
   * @param sqDoorbell address of the tail doorbell of the submission queue
   * @param cqDoorbell address of the head doorbell of the completion queue
   */
  public DeviceQueueJournal(
      final long segment,
      final DeviceQueueGeometry geometry,
      final long sqDoorbell,
      final long cqDoorbell) {
    this.segment = segment;
    this.entryCount = geometry.entryCount();
    this.slotCount = geometry.slotCount();
    this.slots = segment + DeviceQueueSegment.SLOTS_OFFSET;
    this.sq = segment + DeviceQueueSegment.sqOffset(slotCount);
    this.cq = segment + DeviceQueueSegment.cqOffset(entryCount, slotCount);
    this.sqDoorbell = sqDoorbell;
    this.cqDoorbell = cqDoorbell;
  }

  /**
   * Whether the master lets us at the queues. Once per duty cycle: false tells the master that
   * neither they nor a doorbell is touched before this is true again.
   */
  public boolean isOpen() {
    final long gate = Mem.getLongAcquire(segment + GATE_OFFSET);
    if (DeviceQueueSegment.isOpen(gate)) {
      return true;
    }
    if (Mem.getLong(segment + GATE_SEEN_OFFSET) != gate) {
      Mem.putLongRelease(segment + GATE_SEEN_OFFSET, gate);
    }
    return false;
  }

  /**
   * Whether {@link #join} was done for the queues that the device has now; with an open gate only.
   */
  public boolean isJoined() {
    return joined != 0 && joined == Mem.getLongAcquire(segment + CREATION_OFFSET);
  }

  /**
   * Adopts what a dead predecessor left, or starts anew when the queues were created since. Can be
   * cut at any store and done again. With an open gate only.
   *
   * @param heldOut room for every slot: those that the device may hold
   * @return how many those are, or {@link #REFUSED}
   */
  public int join(final int[] heldOut) {
    final long creation = Mem.getLongAcquire(segment + CREATION_OFFSET);
    submitted = Mem.getLong(segment + SUBMITTED_OFFSET);
    rung = Mem.getLong(segment + RUNG_OFFSET);
    reaped = Mem.getLong(segment + REAPED_OFFSET);
    released = Mem.getLong(segment + RELEASED_OFFSET);
    final boolean isSame = creation == Mem.getLong(segment + JOINED_OFFSET);
    final int heldCount =
        switch (HeaderCase.of(isSame, isSound()).decision()) {
          case INITIALISE -> initialise(creation);
          case ADOPT -> adopt(heldOut);
          case REFUSE -> REFUSED;
        };
    joined = heldCount == REFUSED ? 0 : creation;
    return heldCount;
  }

  private boolean isSound() {
    return submitted >= 0
        && submitted < Long.MAX_VALUE - 1
        && reaped >= 0
        && reaped < Long.MAX_VALUE - 1
        && rung <= submitted
        && submitted - rung < entryCount
        && released <= reaped
        && reaped - released < entryCount;
  }

  /** {@code joined} goes last: a death before it does all of this again. */
  private int initialise(final long creation) {
    for (int slot = 0; slot < slotCount; slot++) {
      place(slot, 0);
    }
    submitted = 0;
    rung = 0;
    reaped = 0;
    released = 0;
    Mem.putLongRelease(segment + SUBMITTED_OFFSET, 0);
    Mem.putLongRelease(segment + RUNG_OFFSET, 0);
    Mem.putLongRelease(segment + REAPED_OFFSET, 0);
    Mem.putLongRelease(segment + RELEASED_OFFSET, 0);
    setIndices();
    Mem.putLongRelease(segment + JOINED_OFFSET, creation);
    VarHandle.storeStoreFence();
    return 0;
  }

  private void setIndices() {
    sqTail = (int) (submitted % entryCount);
    cqHead = (int) (reaped % entryCount);
    phase = (reaped / entryCount & 1) == 0;
  }

  private int adopt(final int[] heldOut) {
    setIndices();
    final int completion = peek();
    final int endedId = completion == NONE ? NONE : CompletionEntry.commandId(completion);
    int heldCount = 0;
    boolean isCounted = false;
    for (int slot = 0; slot < slotCount; slot++) {
      final long place = Mem.getLong(slotAddress(slot) + PLACE_OFFSET);
      final SlotCase row =
          SlotCase.of(
              Place.of(place, submitted, reaped),
              Bell.of(place, rung),
              Entry.of(completion != NONE, slot == endedId));
      switch (row.decision()) {
        case KEEP -> {}
        case CLEAR -> place(slot, 0);
        case CLEAR_AND_COUNT -> {
          place(slot, 0);
          inconsistencyCount++;
        }
        case COUNT_COMPLETION -> isCounted = true;
        case WAIT, RING_AND_WAIT -> heldOut[heldCount++] = slot;
      }
    }
    if (isCounted) {
      advance();
    }
    ring();
    release();
    return heldCount;
  }

  /** What no crash explains, since this was asked last. */
  public int takeInconsistencies() {
    final int count = inconsistencyCount;
    inconsistencyCount = 0;
    return count;
  }

  private long slotAddress(final int slot) {
    return slots + (long) slot * DeviceQueueSegment.SLOT_LENGTH;
  }

  private void place(final int slot, final long place) {
    Mem.putLongRelease(slotAddress(slot) + PLACE_OFFSET, place);
  }

  /** Address of the entry that the next {@link #submit} gives away; 64 bytes, all to be stored. */
  public long entry() {
    return sq + (long) sqTail * SubmissionEntry.ENTRY_LENGTH;
  }

  /**
   * Puts the command in {@link #entry} in flight. Its id is the slot, which is free and whose
   * fields say whom it is for.
   */
  public void submit(final int slot) {
    place(slot, submitted + 1);
    submitted++;
    Mem.putLongRelease(segment + SUBMITTED_OFFSET, submitted);
    sqTail = sqTail + 1 == entryCount ? 0 : sqTail + 1;
  }

  /** Tells the device of what was submitted since the last call. */
  public void ring() {
    if (rung != submitted) {
      Mem.putIntRelease(sqDoorbell, sqTail);
      rung = submitted;
      Mem.putLongRelease(segment + RUNG_OFFSET, rung);
    }
  }

  /**
   * The last dword of the next completion ({@link CompletionEntry}), or {@link #NONE}; its id is
   * not checked. A dword of all ones is an id that no slot has: it is none either.
   */
  public int peek() {
    final int dword3 = Mem.getIntAcquire(completion() + CompletionEntry.DWORD3_OFFSET);
    return CompletionEntry.phase(dword3) == phase ? dword3 : NONE;
  }

  private long completion() {
    return cq + (long) cqHead * CompletionEntry.ENTRY_LENGTH;
  }

  /** Whether the completion that {@link #peek} returned is of this submission queue. */
  public boolean isOfQueue(final int queueId) {
    return CompletionEntry.sqId(Mem.getInt(completion() + CompletionEntry.DWORD2_OFFSET))
        == queueId;
  }

  /** Whether a slot is in flight. */
  public boolean isInFlight(final int slot) {
    return Mem.getLong(slotAddress(slot) + PLACE_OFFSET) > 0;
  }

  /**
   * Ends the command of a slot by the completion that {@link #peek} returned. The slot is free;
   * only then may anybody be told, or a death would make a successor wait for a completion that has
   * been taken.
   */
  public void reap(final int slot) {
    place(slot, -(reaped + 1));
    advance();
    VarHandle.storeStoreFence();
  }

  private void advance() {
    reaped++;
    Mem.putLongRelease(segment + REAPED_OFFSET, reaped);
    cqHead++;
    if (cqHead == entryCount) {
      cqHead = 0;
      phase = !phase;
    }
  }

  /** Gives the entries of completions back to the device. */
  public void release() {
    if (released != reaped) {
      Mem.putIntRelease(cqDoorbell, cqHead);
      released = reaped;
      Mem.putLongRelease(segment + RELEASED_OFFSET, released);
    }
  }
}

package io.virtnvme.journal;

import static io.virtnvme.journal.NvmeSqJournalDescriptor.CREATION_OFFSET;
import static io.virtnvme.journal.NvmeSqJournalDescriptor.FETCHED_OFFSET;
import static io.virtnvme.journal.NvmeSqJournalDescriptor.INFLIGHT_OFFSET;
import static io.virtnvme.journal.NvmeSqJournalDescriptor.NO_INTENT;
import static io.virtnvme.journal.NvmeSqJournalDescriptor.QUEUE_SIZE_OFFSET;
import static io.virtnvme.journal.NvmeSqJournalDescriptor.SLOT_COMMAND_LENGTH;
import static io.virtnvme.journal.NvmeSqJournalDescriptor.SLOT_COMMAND_OFFSET;
import static io.virtnvme.journal.NvmeSqJournalDescriptor.SLOT_INTENT_OFFSET;
import static io.virtnvme.journal.NvmeSqJournalDescriptor.SLOT_LENGTH;
import static io.virtnvme.journal.NvmeSqJournalDescriptor.SLOT_NUMBER_OFFSET;
import static io.virtnvme.journal.NvmeSqJournalDescriptor.SLOT_RESULT_OFFSET;
import static io.virtnvme.journal.NvmeSqJournalDescriptor.VERSION;
import static io.virtnvme.journal.NvmeSqJournalDescriptor.VERSION_OFFSET;

import io.virtnvme.ipc.memory.Mem;
import io.virtnvme.ipc.nvme.SubmissionEntry;
import java.util.Arrays;

/**
 * Writer of the journal of one NVMe submission queue, I/O or admin: which commands have been
 * fetched and are not completed. Completions go through the {@link NvmeCqJournal} of its completion
 * queue, which also recovers it. One thread at a time: the reactor that owns the completion queue.
 *
 * <p>Order of calls:
 *
 * <pre>
 *  start     if isNew(creation): initialise(creation)    else: validate(creation) must be null
 *            then attach it to its completion queue, which recovers it: see there
 *  fetch     n = min(submittedCount(tail), freeCount(), ...)     tail: the doorbell, read once, checked
 *            n times: slot = fetch(address of the entry at nextIndex())
 *            fetchCommit()                                       one commit for all of them
 *            execute each from commandAddress(slot), not from the guest's queue
 *  complete  completionQueue.post(this, slot, status, result) ... completionQueue.postCommit()
 * </pre>
 *
 * A slot is free again behind postCommit. A command that waits for something, such as an
 * Asynchronous Event Request, just stays in its slot, and comes back at a recovery as any other.
 * There are as many slots as the queue has entries; a driver may have more commands outstanding,
 * since it gets entries back before commands end. Then freeCount() is 0 and the rest waits in the
 * guest's queue.
 *
 * <p>Stores that others rely on are release stores; those into a slot that no reader looks at are
 * plain. A release store keeps earlier stores before it, but lets later plain ones pass: a fence
 * for the compiler behind each batch of completions keeps the next command of a slot behind the
 * store that freed it. While running, nothing is read back from the region but the command.
 */
public final class NvmeSqJournal {
  /** NVMe Base Specification, "Queue Size": at least two entries, since one stays empty. */
  public static final int QUEUE_SIZE_MIN = 2;

  public static final int QUEUE_SIZE_MAX = 4096;

  /**
   * For measuring what the journal costs, and for nothing else: with it a queue cannot be taken
   * over, see {@link #validate}. A constant, so the JIT leaves no trace of it on the data path.
   */
  static final boolean OFF = Boolean.getBoolean("virtnvme.journal.off");

  /** Number of a slot that holds no command: more than any count of fetches. */
  private static final long NO_NUMBER = -1;

  private static final int NO_WORD = -1;

  private final long regionAddress;
  private final long slotsAddress;
  private final int queueId;
  private final int queueSize;
  private final long[] inflight;
  private final long[] numbers;
  private final long[] intents;
  private final int[] freeSlots;
  private int freeCount;
  private long fetched;
  private long nextNumber;
  private int head;
  private int nextIndex;
  private int openWord = NO_WORD;
  private NvmeCqJournal completionQueue;

  /**
   * Works on a region; reads and stores nothing yet.
   *
   * @param regionAddress absolute address of this queue's region, aligned to 64, at least {@link
   *     #regionLength} bytes mapped
   * @param queueId submission queue identifier, 0 for the admin queue, 0..65535
   * @param queueSize entries, {@link #QUEUE_SIZE_MIN}..{@link #QUEUE_SIZE_MAX}; not 0's based
   */
  public NvmeSqJournal(final long regionAddress, final int queueId, final int queueSize) {
    checkArguments(regionAddress, queueSize);
    this.regionAddress = regionAddress;
    this.slotsAddress = regionAddress + NvmeSqJournalDescriptor.slotsOffset(queueSize);
    this.queueId = queueId;
    this.queueSize = queueSize;
    this.inflight = new long[(queueSize + Long.SIZE - 1) / Long.SIZE];
    this.numbers = new long[queueSize];
    this.intents = new long[queueSize];
    this.freeSlots = new int[queueSize];
    reset(0);
  }

  static void checkArguments(final long regionAddress, final int queueSize) {
    if (queueSize < QUEUE_SIZE_MIN || queueSize > QUEUE_SIZE_MAX) {
      throw new IllegalArgumentException(
          "queue size out of range: queueSize="
              + queueSize
              + ", allowed "
              + QUEUE_SIZE_MIN
              + ".."
              + QUEUE_SIZE_MAX);
    }
    if (regionAddress % NvmeSqJournalDescriptor.LINE_LENGTH != 0) {
      throw new IllegalArgumentException(
          "region not aligned to 64 bytes: address=0x" + Long.toHexString(regionAddress));
    }
  }

  /** Bytes of one queue's region, a multiple of 64, so that the next one begins on a line. */
  public static long regionLength(final int queueSize) {
    return NvmeSqJournalDescriptor.slotsOffset(queueSize) + (long) queueSize * SLOT_LENGTH;
  }

  /**
   * Makes the region valid for a queue that the driver just created. A death inside leaves version
   * 0: the successor does it again.
   *
   * @param creation which queue of this id: a number that the controller image gives a queue when
   *     it is created, and gives no other one. Tells the successor a journal of a queue that was
   *     deleted from one of the queue that is there now, wherever the slave died.
   */
  public void initialise(final long creation) {
    Mem.putIntRelease(regionAddress + VERSION_OFFSET, 0);
    Mem.fill(
        regionAddress + INFLIGHT_OFFSET,
        NvmeSqJournalDescriptor.inflightLength(queueSize),
        (byte) 0);
    Mem.putIntRelease(regionAddress + QUEUE_SIZE_OFFSET, queueSize);
    Mem.putLongRelease(regionAddress + CREATION_OFFSET, creation);
    Mem.putLongRelease(regionAddress + FETCHED_OFFSET, 0);
    // Commit: everything before is valid once this word is.
    Mem.putIntRelease(regionAddress + VERSION_OFFSET, VERSION);
    Arrays.fill(inflight, 0);
    reset(0);
  }

  /** Takes {@code fetched} and the private bitmap as they are, and makes the rest fit. */
  private void reset(final long newFetched) {
    fetched = newFetched;
    nextNumber = newFetched;
    head = (int) Long.remainderUnsigned(newFetched, queueSize);
    nextIndex = head;
    openWord = NO_WORD;
    freeCount = 0;
    for (int slot = queueSize - 1; slot >= 0; slot--) {
      if ((inflight[slot >>> 6] & (1L << slot)) == 0) {
        numbers[slot] = NO_NUMBER;
        freeSlots[freeCount++] = slot;
      }
    }
  }

  private NvmeHeaderCase headerCase(final long creation) {
    return NvmeHeaderCase.of(
        Mem.getInt(regionAddress + VERSION_OFFSET),
        Mem.getLong(regionAddress + CREATION_OFFSET) == creation,
        Mem.getInt(regionAddress + QUEUE_SIZE_OFFSET) == queueSize);
  }

  /**
   * Whether the region is to be initialised: nobody has done it, or for an earlier queue of this
   * id.
   *
   * @param creation as for {@link #initialise}
   */
  public boolean isNew(final long creation) {
    return headerCase(creation).decision() == NvmeHeaderCase.Decision.INITIALISE;
  }

  /**
   * Checks the header.
   *
   * @param creation as for {@link #initialise}
   * @return null if it is new or can be recovered, else a sentence with the values
   */
  public String validate(final long creation) {
    if (OFF && !isNew(creation)) {
      return "NVMe queue journal in use, and this process keeps none (virtnvme.journal.off=true):"
          + " it cannot take the queue over";
    }
    return headerCase(creation)
        .explain(
            Mem.getInt(regionAddress + VERSION_OFFSET),
            Mem.getInt(regionAddress + QUEUE_SIZE_OFFSET),
            queueSize);
  }

  /**
   * Copies one command from the guest's queue into a free slot. A death before {@link #fetchCommit}
   * leaves it unfetched.
   *
   * @param entryAddress the entry at {@link #nextIndex}, 64 readable bytes, aligned to 8; read once
   * @return the slot, 0..queueSize-1
   * @throws IllegalStateException if there is no free slot: the caller has not looked
   */
  public int fetch(final long entryAddress) {
    if (freeCount == 0) {
      throw new IllegalStateException("no free slot: queueId=" + queueId + " size=" + queueSize);
    }
    final int slot = freeSlots[--freeCount];
    final long address = slotAddress(slot);
    for (int offset = 0; offset < SLOT_COMMAND_LENGTH; offset += Long.BYTES) {
      Mem.putLong(address + SLOT_COMMAND_OFFSET + offset, Mem.getLong(entryAddress + offset));
    }
    final long number = nextNumber++;
    numbers[slot] = number;
    nextIndex = nextIndex + 1 == queueSize ? 0 : nextIndex + 1;
    if (OFF) {
      return slot;
    }
    // The intent of the command that had this slot goes before the bit comes: its index is posted,
    // and this command would count as completed.
    Mem.putLong(address + SLOT_INTENT_OFFSET, NO_INTENT);
    Mem.putLongRelease(address + SLOT_NUMBER_OFFSET, number);
    final int word = slot >>> 6;
    if (word != openWord) {
      storeOpenWord();
      openWord = word;
    }
    inflight[word] |= 1L << slot;
    return slot;
  }

  private void storeOpenWord() {
    if (openWord != NO_WORD) {
      storeWord(openWord);
      openWord = NO_WORD;
    }
  }

  private void storeWord(final int word) {
    Mem.putLongRelease(regionAddress + INFLIGHT_OFFSET + (long) word * Long.BYTES, inflight[word]);
  }

  /**
   * Ends a batch of fetches: they are inflight. The SQ head that completions report goes past them,
   * so the driver may overwrite their entries from the next completion on.
   */
  public void fetchCommit() {
    fetched = nextNumber;
    head = nextIndex;
    if (OFF) {
      return;
    }
    storeOpenWord();
    Mem.putLongRelease(regionAddress + FETCHED_OFFSET, nextNumber);
  }

  /**
   * First half of a completion: what will be reported, and where. A death behind it leaves the
   * completion to be published by the successor, with the same index.
   */
  void intend(final int slot, final long index, final int status, final int result) {
    if (Long.compareUnsigned(numbers[slot], fetched) >= 0) {
      throw new IllegalStateException(
          "slot holds no command that is inflight: queueId=" + queueId + " slot=" + slot);
    }
    numbers[slot] = NO_NUMBER;
    if (OFF) {
      return;
    }
    final long address = slotAddress(slot);
    Mem.putInt(address + SLOT_RESULT_OFFSET, result);
    Mem.putLongRelease(address + SLOT_INTENT_OFFSET, NvmeSqJournalDescriptor.intent(index, status));
  }

  /**
   * Second half of a completion, behind its commit: frees the slot.
   *
   * @param isLastOfWord whether the next slot to be retired lies in another word of the bitmap or
   *     in another queue: then the word is stored
   */
  void retire(final int slot, final boolean isLastOfWord) {
    freeSlots[freeCount++] = slot;
    if (OFF) {
      return;
    }
    final int word = slot >>> 6;
    inflight[word] &= ~(1L << slot);
    if (isLastOfWord) {
      storeWord(word);
    }
  }

  /**
   * The commands inflight, from private memory, in fetch order: after a recovery those to submit
   * again, at any time those to abort.
   *
   * @param slotsOut gets the slots; length at least queueSize
   * @return how many
   */
  public int inflightSlots(final int[] slotsOut) {
    int count = 0;
    for (int slot = 0; slot < queueSize; slot++) {
      if (isInflight(slot)) {
        intents[count] = numbers[slot];
        slotsOut[count++] = slot;
      }
    }
    CounterOrder.sort(intents, slotsOut, count);
    return count;
  }

  /** Reads the region, once; returns how many bits are set that belong to no slot. */
  int load() {
    fetched = Mem.getLong(regionAddress + FETCHED_OFFSET);
    head = (int) Long.remainderUnsigned(fetched, queueSize);
    freeCount = 0;
    int strayCount = 0;
    for (int word = 0; word < inflight.length; word++) {
      final long stored = Mem.getLong(regionAddress + INFLIGHT_OFFSET + (long) word * Long.BYTES);
      inflight[word] = stored & slotBits(word);
      strayCount += Long.bitCount(stored & ~slotBits(word));
      for (long bits = inflight[word]; bits != 0; bits &= bits - 1) {
        final int slot = word * Long.SIZE + Long.numberOfTrailingZeros(bits);
        numbers[slot] = Mem.getLong(slotAddress(slot) + SLOT_NUMBER_OFFSET);
        intents[slot] = Mem.getLong(slotAddress(slot) + SLOT_INTENT_OFFSET);
      }
    }
    return strayCount;
  }

  private long slotBits(final int word) {
    final int count = queueSize - word * Long.SIZE;
    return count >= Long.SIZE ? -1L : (1L << count) - 1;
  }

  NvmeRecovery.Fetch loadedFetch(final int slot) {
    return NvmeRecovery.Fetch.of(numbers[slot], fetched, queueSize);
  }

  long loadedIntent(final int slot) {
    return intents[slot];
  }

  int loadedResult(final int slot) {
    return Mem.getInt(slotAddress(slot) + SLOT_RESULT_OFFSET);
  }

  int wordCount() {
    return inflight.length;
  }

  long inflightWord(final int word) {
    return inflight[word];
  }

  /** Recovery drops an intent that cannot be. */
  void dropIntent(final int slot) {
    Mem.putLongRelease(slotAddress(slot) + SLOT_INTENT_OFFSET, NO_INTENT);
  }

  /**
   * Recovery has decided about the slots of a word: those that stay inflight, for now or longer.
   */
  void settleWord(final int word, final long staying) {
    inflight[word] = staying;
    if (Mem.getLong(regionAddress + INFLIGHT_OFFSET + (long) word * Long.BYTES) != staying) {
      storeWord(word);
    }
  }

  /** Recovery has decided about all slots. */
  void settle() {
    reset(fetched);
  }

  void completionQueue(final NvmeCqJournal newCompletionQueue) {
    completionQueue = newCompletionQueue;
  }

  NvmeCqJournal completionQueue() {
    return completionQueue;
  }

  /** Submission queue identifier, as completions report it. */
  public int queueId() {
    return queueId;
  }

  /** Entries of the queue, and slots of the journal. */
  public int queueSize() {
    return queueSize;
  }

  /** Absolute count of commands fetched and committed. */
  public long fetched() {
    return fetched;
  }

  /** SQ head as completions report it: the entry behind the last one committed. */
  public int head() {
    return head;
  }

  /** Index of the entry that the next {@link #fetch} takes. */
  public int nextIndex() {
    return nextIndex;
  }

  /**
   * How many entries wait in the guest's queue.
   *
   * @param tail SQ tail doorbell, 0..queueSize-1: read once and checked by the caller
   */
  public int submittedCount(final int tail) {
    final int count = tail - nextIndex;
    return count < 0 ? count + queueSize : count;
  }

  /** How many commands can be fetched before one completes. */
  public int freeCount() {
    return freeCount;
  }

  /** How many commands are inflight; those of an open batch of fetches or completions count. */
  public int inflightCount() {
    return queueSize - freeCount;
  }

  /** Whether a slot holds a command that was not posted, from private memory. */
  public boolean isInflight(final int slot) {
    return numbers[slot] != NO_NUMBER;
  }

  /**
   * Absolute fetch number of the command in a slot, which identifies it for the life of the queue;
   * all ones when it holds none, and from {@link NvmeCqJournal#post} on.
   */
  public long fetchNumber(final int slot) {
    return numbers[slot];
  }

  /** Address of the 64 bytes of the command in a slot, aligned to 64; for reading. */
  public long commandAddress(final int slot) {
    return slotAddress(slot) + SLOT_COMMAND_OFFSET;
  }

  /** Command identifier of the command in a slot, 0..65535. */
  public int commandId(final int slot) {
    return Mem.getUnsignedShort(
        slotAddress(slot) + SLOT_COMMAND_OFFSET + SubmissionEntry.COMMAND_ID_OFFSET);
  }

  private long slotAddress(final int slot) {
    return slotsAddress + (long) slot * SLOT_LENGTH;
  }
}

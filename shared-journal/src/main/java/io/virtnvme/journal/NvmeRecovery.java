package io.virtnvme.journal;

import java.util.EnumSet;
import java.util.Set;

/**
 * The recovery of the slots of NVMe submission queues as a decision table, over all queues that
 * share a completion queue. A pure function; exactly one row matches each combination of inputs.
 */
final class NvmeRecovery {
  private static final Set<Intent> DECIDED = EnumSet.complementOf(EnumSet.of(Intent.NONE));

  private NvmeRecovery() {}

  /**
   * The fetch number of a slot that is marked inflight, against the commit word {@code fetched}.
   */
  enum Number {
    /** Less than fetched. */
    COMMITTED,
    /** One of the next queue_size numbers. */
    UNCOMMITTED,
    /** Further ahead. */
    BEYOND;

    static Number of(final long number, final long fetched, final int queueSize) {
      if (Long.compareUnsigned(number, fetched) < 0) {
        return COMMITTED;
      }
      return Long.compareUnsigned(number - fetched, queueSize) < 0 ? UNCOMMITTED : BEYOND;
    }
  }

  /** The completion index of a slot's intent, against the commit word {@code posted}. */
  enum Intent {
    /** Nothing decided. */
    NONE,
    /** One of the last queue size - 1 indices before posted: as many as a batch can have. */
    POSTED,
    /** In the gap-free run of indices that begins at posted, and the first slot with this one. */
    NEXT,
    /** Any other index. */
    ASTRAY;

    static Intent of(final long intent, final long posted, final int cqSize, final boolean isNext) {
      if (!NvmeSqJournalDescriptor.isIntent(intent)) {
        return NONE;
      }
      if (isNext) {
        return NEXT;
      }
      final long distance = NvmeSqJournalDescriptor.intentDistance(intent, posted);
      return distance < 0 && distance > -cqSize ? POSTED : ASTRAY;
    }
  }

  /** The guest's completion queue entry at the index of an intent. */
  enum Entry {
    /** Phase tag of this lap, command id and queue id of the slot. */
    THERE,
    /** Phase tag of the lap before. */
    OLD,
    /** Phase tag of this lap, but of another command. */
    FOREIGN;

    static Entry of(final boolean isPhaseOfLap, final boolean isCommand) {
      return !isPhaseOfLap ? OLD : isCommand ? THERE : FOREIGN;
    }
  }

  /** What happened to a slot that is marked inflight. */
  enum SlotCase {
    /** Died in a fetch before its commit: the command is still in the guest's queue. */
    NEVER_FETCHED(Number.UNCOMMITTED, EnumSet.of(Intent.NONE), null, Decision.CLEAR),
    /** No crash does this: the intent is zeroed before a slot gets a number. */
    NEVER_FETCHED_BUT_DECIDED(Number.UNCOMMITTED, DECIDED, null, Decision.CLEAR_AND_COUNT),
    /** No crash does this: a batch has at most as many commands as there are slots. */
    GARBAGE(Number.BEYOND, null, null, Decision.CLEAR_AND_COUNT),
    /** Fetched, and died before anything was decided about its end. */
    INFLIGHT(Number.COMMITTED, EnumSet.of(Intent.NONE), null, Decision.RESUBMIT),
    /** Died after the commit of its completion, before its bit was cleared. */
    COMPLETED(Number.COMMITTED, EnumSet.of(Intent.POSTED), null, Decision.CLEAR),
    /** Died after its entry was published, before the commit: the driver has it. */
    PUBLISHED(Number.COMMITTED, EnumSet.of(Intent.NEXT), Entry.THERE, Decision.COMMIT),
    /** Died after its intent, before its entry was published. */
    INTENDED(Number.COMMITTED, EnumSet.of(Intent.NEXT), Entry.OLD, Decision.PUBLISH),
    /** No crash does this: the driver wrote into its completion queue. */
    INTENDED_BUT_FOREIGN(
        Number.COMMITTED, EnumSet.of(Intent.NEXT), Entry.FOREIGN, Decision.PUBLISH_AND_COUNT),
    /** No crash does this: intents are taken in order, without a gap. Its end is not known. */
    ASTRAY(Number.COMMITTED, EnumSet.of(Intent.ASTRAY), null, Decision.RESUBMIT_AND_COUNT);

    private static final SlotCase[] ROWS = values();

    private final Number number;
    private final Set<Intent> intents;
    private final Entry entry;
    private final Decision decision;

    SlotCase(
        final Number number,
        final Set<Intent> intents,
        final Entry entry,
        final Decision decision) {
      this.number = number;
      this.intents = intents;
      this.entry = entry;
      this.decision = decision;
    }

    Decision decision() {
      return decision;
    }

    boolean matches(final Number actualNumber, final Intent actualIntent, final Entry actualEntry) {
      return number == actualNumber
          && (intents == null || intents.contains(actualIntent))
          && (entry == null || entry == actualEntry);
    }

    static SlotCase of(
        final Number actualNumber, final Intent actualIntent, final Entry actualEntry) {
      for (final SlotCase row : ROWS) {
        if (row.matches(actualNumber, actualIntent, actualEntry)) {
          return row;
        }
      }
      throw new IllegalStateException(
          "no row for " + actualNumber + ", " + actualIntent + ", " + actualEntry);
    }
  }

  /** What to do with one slot. */
  enum Decision {
    /** Its bit goes. */
    CLEAR,
    /** Its bit goes; counted. */
    CLEAR_AND_COUNT,
    /** It stays inflight, and the caller submits it again. */
    RESUBMIT,
    /** The same, without its intent; counted. */
    RESUBMIT_AND_COUNT,
    /** Its entry is left alone; posted goes past it, its bit goes. */
    COMMIT,
    /** Its entry is published from the slot; posted goes past it, its bit goes. */
    PUBLISH,
    /** The same; counted. */
    PUBLISH_AND_COUNT
  }
}

package io.virtnvme.journal;

/**
 * The recovery of the slots of NVMe submission queues as a decision table, over all queues that
 * share a completion queue. A pure function; exactly one row matches each combination of inputs.
 */
final class NvmeRecovery {
  private NvmeRecovery() {}

  /**
   * The fetch number of a slot that is marked inflight, against the commit word {@code fetched}.
   */
  enum Fetch {
    /** Less than fetched. */
    COMMITTED,
    /** One of the next queue_size numbers. */
    UNCOMMITTED,
    /** Further ahead. */
    BEYOND;

    static Fetch of(final long number, final long fetched, final int queueSize) {
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
    NEVER_FETCHED(Fetch.UNCOMMITTED, false, null, null, Decision.CLEAR),
    /** No crash does this: the intent is zeroed before a slot gets a number. */
    NEVER_FETCHED_BUT_DECIDED(Fetch.UNCOMMITTED, true, null, null, Decision.CLEAR_AND_COUNT),
    /** No crash does this: a batch has at most as many commands as there are slots. */
    GARBAGE(Fetch.BEYOND, null, null, null, Decision.CLEAR_AND_COUNT),
    /** Fetched, and died before anything was decided about its end. */
    INFLIGHT(Fetch.COMMITTED, null, Intent.NONE, null, Decision.RESUBMIT),
    /** Died after the commit of its completion, before its bit was cleared. */
    COMPLETED(Fetch.COMMITTED, null, Intent.POSTED, null, Decision.CLEAR),
    /** Died after its entry was published, before the commit: the driver has it. */
    PUBLISHED(Fetch.COMMITTED, null, Intent.NEXT, Entry.THERE, Decision.COMMIT),
    /** Died after its intent, before its entry was published. */
    INTENDED(Fetch.COMMITTED, null, Intent.NEXT, Entry.OLD, Decision.PUBLISH),
    /** No crash does this: the driver wrote into its completion queue. */
    INTENDED_BUT_FOREIGN(
        Fetch.COMMITTED, null, Intent.NEXT, Entry.FOREIGN, Decision.PUBLISH_AND_COUNT),
    /** No crash does this: intents are taken in order, without a gap. Its end is not known. */
    ASTRAY(Fetch.COMMITTED, null, Intent.ASTRAY, null, Decision.RESUBMIT_AND_COUNT);

    private static final SlotCase[] ROWS = values();

    private final Fetch fetch;
    private final Boolean isDecided;
    private final Intent intent;
    private final Entry entry;
    private final Decision decision;

    SlotCase(
        final Fetch fetch,
        final Boolean isDecided,
        final Intent intent,
        final Entry entry,
        final Decision decision) {
      this.fetch = fetch;
      this.isDecided = isDecided;
      this.intent = intent;
      this.entry = entry;
      this.decision = decision;
    }

    Decision decision() {
      return decision;
    }

    boolean matches(final Fetch actualFetch, final Intent actualIntent, final Entry actualEntry) {
      return fetch == actualFetch
          && (isDecided == null || isDecided == (actualIntent != Intent.NONE))
          && (intent == null || intent == actualIntent)
          && (entry == null || entry == actualEntry);
    }

    static SlotCase of(
        final Fetch actualFetch, final Intent actualIntent, final Entry actualEntry) {
      for (final SlotCase row : ROWS) {
        if (row.matches(actualFetch, actualIntent, actualEntry)) {
          return row;
        }
      }
      throw new IllegalStateException(
          "no row for " + actualFetch + ", " + actualIntent + ", " + actualEntry);
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

package io.virtnvme.journal;

/**
 * The recovery of a packed region as two decision tables: first the last batch, then each entry.
 * Pure functions; exactly one row matches each combination of inputs.
 */
final class PackedRecovery {
  private PackedRecovery() {}

  /** Whether (used_idx, used_wrap_counter) equals (old_used_idx, old_used_wrap_counter). */
  enum Used {
    SAME_AS_OLD,
    AHEAD_OF_OLD
  }

  /** The ring descriptor at old_used_idx, seen with old_used_wrap_counter. */
  enum RingSlot {
    AVAILABLE,
    NOT_AVAILABLE
  }

  /** What happened to the last batch. */
  enum BatchCase {
    /** Died idle, inside a fetch, or inside the linking of a batch. */
    SETTLED(Used.SAME_AS_OLD, null, BatchDecision.ROLL_BACK_FREE_LIST),
    /** Died after used_idx was advanced, before the first descriptor's flags were published. */
    UNPUBLISHED(Used.AHEAD_OF_OLD, RingSlot.AVAILABLE, BatchDecision.ROLL_BACK),
    /** Died after the flags were published, before the old_ fields were: the driver has it. */
    PUBLISHED(Used.AHEAD_OF_OLD, RingSlot.NOT_AVAILABLE, BatchDecision.COMMIT);

    private static final BatchCase[] ROWS = values();

    private final Used used;
    private final RingSlot slot;
    private final BatchDecision decision;

    BatchCase(final Used used, final RingSlot slot, final BatchDecision decision) {
      this.used = used;
      this.slot = slot;
      this.decision = decision;
    }

    BatchDecision decision() {
      return decision;
    }

    boolean matches(final Used actualUsed, final RingSlot actualSlot) {
      return used == actualUsed && (slot == null || slot == actualSlot);
    }

    static BatchCase of(final Used actualUsed, final RingSlot actualSlot) {
      for (final BatchCase row : ROWS) {
        if (row.matches(actualUsed, actualSlot)) {
          return row;
        }
      }
      throw new IllegalStateException("no row for " + actualUsed + ", " + actualSlot);
    }
  }

  /** What to do with the last batch. */
  enum BatchDecision {
    /** The used fields are right; free_head becomes old_free_head. */
    ROLL_BACK_FREE_LIST,
    /** All new fields become the old ones; used elements after the first are taken back. */
    ROLL_BACK,
    /** All old fields become the new ones. */
    COMMIT
  }

  /** Whether the entry is on the free list that the batch's decision left. */
  enum Place {
    FREE,
    HELD
  }

  /** Whether num entries can be followed from this head, all held by it alone, to its last. */
  enum Chain {
    SOUND,
    BROKEN
  }

  /** What happened to one entry. */
  enum EntryCase {
    /** On the free list, and says so. */
    IDLE(InflightFlag.CLEAR, Place.FREE, null, EntryDecision.SKIP),
    /** Died inside a fetch before its commit, or after a batch was published, before its clear. */
    STALE(InflightFlag.SET, Place.FREE, null, EntryDecision.CLEAR),
    /** Descriptor of a request, but not its first. */
    MEMBER(InflightFlag.CLEAR, Place.HELD, null, EntryDecision.SKIP),
    /** First descriptor of a request that was fetched and not completed. */
    INFLIGHT(InflightFlag.SET, Place.HELD, Chain.SOUND, EntryDecision.RESUBMIT),
    /** No crash does this: links of a held request do not change. A hostile peer. */
    BROKEN_CHAIN(InflightFlag.SET, Place.HELD, Chain.BROKEN, EntryDecision.CLEAR_AND_COUNT),
    /** No crash does this: bytes are not torn. A hostile peer. */
    GARBAGE(InflightFlag.GARBAGE, null, null, EntryDecision.CLEAR_AND_COUNT);

    private static final EntryCase[] ROWS = values();

    private final InflightFlag flag;
    private final Place place;
    private final Chain chain;
    private final EntryDecision decision;

    EntryCase(
        final InflightFlag flag,
        final Place place,
        final Chain chain,
        final EntryDecision decision) {
      this.flag = flag;
      this.place = place;
      this.chain = chain;
      this.decision = decision;
    }

    EntryDecision decision() {
      return decision;
    }

    boolean matches(
        final InflightFlag actualFlag, final Place actualPlace, final Chain actualChain) {
      return flag == actualFlag
          && (place == null || place == actualPlace)
          && (chain == null || chain == actualChain);
    }

    static EntryCase of(
        final InflightFlag actualFlag, final Place actualPlace, final Chain actualChain) {
      for (final EntryCase row : ROWS) {
        if (row.matches(actualFlag, actualPlace, actualChain)) {
          return row;
        }
      }
      throw new IllegalStateException(
          "no row for " + actualFlag + ", " + actualPlace + ", " + actualChain);
    }
  }

  /** What to do with one entry. */
  enum EntryDecision {
    SKIP,
    RESUBMIT,
    CLEAR,
    CLEAR_AND_COUNT
  }
}

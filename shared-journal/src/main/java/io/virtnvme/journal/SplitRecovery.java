package io.virtnvme.journal;

/**
 * The recovery of a split region as two decision tables: first the last batch, then each entry.
 * Pure functions; exactly one row matches each combination of inputs.
 */
final class SplitRecovery {
  private SplitRecovery() {}

  /** The ring's used index minus the region's, modulo 2^16. */
  enum Gap {
    NONE,
    UP_TO_QUEUE_SIZE,
    BEYOND_QUEUE_SIZE;

    static Gap of(final int gap, final int queueSize) {
      return gap == 0 ? NONE : gap <= queueSize ? UP_TO_QUEUE_SIZE : BEYOND_QUEUE_SIZE;
    }
  }

  /** What happened to the last batch. */
  enum BatchCase {
    /** Died before the ring's used index was published, after used_idx was stored, or idle. */
    SETTLED(Gap.NONE, BatchDecision.TRUST_FLAGS),
    /** Died after the used index was published, before used_idx: the driver has the batch. */
    PUBLISHED(Gap.UP_TO_QUEUE_SIZE, BatchDecision.CLEAR_LAST_BATCH),
    /**
     * No crash does this: a batch has at most queueSize requests. Left by a back-end that did not
     * take used_idx from the ring when the region was new, or by a hostile peer.
     */
    UNRELATED(Gap.BEYOND_QUEUE_SIZE, BatchDecision.TRUST_FLAGS_AND_COUNT);

    private static final BatchCase[] ROWS = values();

    private final Gap gap;
    private final BatchDecision decision;

    BatchCase(final Gap gap, final BatchDecision decision) {
      this.gap = gap;
      this.decision = decision;
    }

    BatchDecision decision() {
      return decision;
    }

    boolean matches(final Gap actual) {
      return gap == actual;
    }

    static BatchCase of(final Gap actual) {
      for (final BatchCase row : ROWS) {
        if (row.matches(actual)) {
          return row;
        }
      }
      throw new IllegalStateException("no row for " + actual);
    }
  }

  /** What to do with the last batch. */
  enum BatchDecision {
    /** The inflight flags tell the truth. */
    TRUST_FLAGS,
    /** The flags of the batch that begins at last_batch_head do not count. */
    CLEAR_LAST_BATCH,
    /** Nothing better than the flags is known; adopt the ring's index and count it. */
    TRUST_FLAGS_AND_COUNT
  }

  /** Whether the entry is one of the last batch, which the driver has seen but used_idx not. */
  enum LastBatch {
    MEMBER,
    OUTSIDE
  }

  /** What happened to one entry. */
  enum EntryCase {
    /** Never fetched, or completed, or died between the stores of counter and inflight. */
    FREE(InflightFlag.CLEAR, null, EntryDecision.SKIP),
    /** Fetched and not completed when the back-end died. */
    INFLIGHT(InflightFlag.SET, LastBatch.OUTSIDE, EntryDecision.RESUBMIT),
    /** Died after the used index was published, before the flag of this entry was cleared. */
    COMPLETED(InflightFlag.SET, LastBatch.MEMBER, EntryDecision.CLEAR),
    /** No crash does this: bytes are not torn. A hostile peer wrote the region. */
    GARBAGE(InflightFlag.GARBAGE, null, EntryDecision.CLEAR_AND_COUNT);

    private static final EntryCase[] ROWS = values();

    private final InflightFlag flag;
    private final LastBatch lastBatch;
    private final EntryDecision decision;

    EntryCase(final InflightFlag flag, final LastBatch lastBatch, final EntryDecision decision) {
      this.flag = flag;
      this.lastBatch = lastBatch;
      this.decision = decision;
    }

    EntryDecision decision() {
      return decision;
    }

    boolean matches(final InflightFlag actualFlag, final LastBatch actualLastBatch) {
      return flag == actualFlag && (lastBatch == null || lastBatch == actualLastBatch);
    }

    static EntryCase of(final InflightFlag actualFlag, final LastBatch actualLastBatch) {
      for (final EntryCase row : ROWS) {
        if (row.matches(actualFlag, actualLastBatch)) {
          return row;
        }
      }
      throw new IllegalStateException("no row for " + actualFlag + ", " + actualLastBatch);
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

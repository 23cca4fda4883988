package io.virtnvme.journal;

/**
 * How a successor takes over a queue pair of a real device, as decision tables. Pure functions;
 * exactly one row matches each combination of inputs.
 */
final class DeviceQueueRecovery {
  private DeviceQueueRecovery() {}

  /** What to do with the journal. */
  enum HeaderDecision {
    INITIALISE,
    ADOPT,
    REFUSE
  }

  /** First decision: is the journal one of these queues at all? */
  enum HeaderCase {
    /** Fresh memory, or the master reset the controller: the device holds nothing. */
    EARLIER_QUEUES(false, null, HeaderDecision.INITIALISE),
    /** The queues that the device has. */
    KNOWN(true, true, HeaderDecision.ADOPT),
    /** No crash does this: counts that cannot be of one queue. Only a reset helps. */
    DAMAGED(true, false, HeaderDecision.REFUSE);

    private static final HeaderCase[] ROWS = values();

    private final boolean isSameCreation;
    private final Boolean isSound;
    private final HeaderDecision decision;

    HeaderCase(final boolean isSameCreation, final Boolean isSound, final HeaderDecision decision) {
      this.isSameCreation = isSameCreation;
      this.isSound = isSound;
      this.decision = decision;
    }

    HeaderDecision decision() {
      return decision;
    }

    boolean matches(final boolean actualSameCreation, final boolean actualSound) {
      return isSameCreation == actualSameCreation && (isSound == null || isSound == actualSound);
    }

    static HeaderCase of(final boolean isSameCreation, final boolean isSound) {
      for (final HeaderCase row : ROWS) {
        if (row.matches(isSameCreation, isSound)) {
          return row;
        }
      }
      throw new IllegalStateException("no row for " + isSameCreation + ", " + isSound);
    }
  }

  /** The journal's view of a slot: its place against {@code submitted} and {@code reaped}. */
  enum Place {
    /** Never used, or ended by a completion that was counted. */
    FREE,
    /** Ended by the very completion that is to be counted next. */
    ENDED_NOW,
    /** Ended by a later completion. */
    ENDED_LATER,
    /** In flight, with a number below submitted. */
    IN_FLIGHT,
    /** In flight with the number that submitted has not counted yet. */
    NEXT,
    /** In flight with a later number. */
    LATER;

    static Place of(final long place, final long submitted, final long reaped) {
      if (place > 0) {
        return place <= submitted ? IN_FLIGHT : place == submitted + 1 ? NEXT : LATER;
      }
      final long ending = -place;
      return ending <= reaped ? FREE : ending == reaped + 1 ? ENDED_NOW : ENDED_LATER;
    }
  }

  /** The submission queue's view: was the device told of the slot's number? */
  enum Bell {
    /** The number is below rung. */
    RUNG,
    /** It is not: the doorbell was stored and rung was not, or neither. */
    MAYBE;

    static Bell of(final long place, final long rung) {
      return place <= rung ? RUNG : MAYBE;
    }
  }

  /** The completion queue's view: the first entry that is not counted yet. */
  enum Entry {
    /** The phase tag of the lap before. */
    NONE,
    /** This lap's phase tag, and the slot's command id. */
    THIS,
    /** This lap's phase tag, and another command id. */
    OTHER;

    static Entry of(final boolean isPhaseOfLap, final boolean isCommand) {
      return !isPhaseOfLap ? NONE : isCommand ? THIS : OTHER;
    }
  }

  /** What happened to a slot. */
  enum SlotCase {
    /** Nothing. A completion with its id is the device's mistake, and polling finds it. */
    IDLE(Place.FREE, null, null, Decision.KEEP),
    /** Died between the end of the command and the count of its completion. */
    REAPED(Place.ENDED_NOW, null, Entry.THIS, Decision.COUNT_COMPLETION),
    /** No crash does this: the end was seen in the entry. */
    REAPED_FROM_NOTHING(Place.ENDED_NOW, null, Entry.NONE, Decision.CLEAR_AND_COUNT),
    /** No crash does this, for the same reason. */
    REAPED_FROM_ANOTHER(Place.ENDED_NOW, null, Entry.OTHER, Decision.CLEAR_AND_COUNT),
    /** No crash does this: completions are counted one by one. */
    ASTRAY(Place.ENDED_LATER, null, null, Decision.CLEAR_AND_COUNT),
    /** The device holds it, or has ended it: polling finds the completion. */
    HELD(Place.IN_FLIGHT, Bell.RUNG, null, Decision.WAIT),
    /** Died before rung was stored: whether the device knows is not known. */
    TOLD_OR_NOT(Place.IN_FLIGHT, Bell.MAYBE, null, Decision.RING_AND_WAIT),
    /** Died before submitted was stored, so before any doorbell: the device cannot know. */
    NEVER_SUBMITTED(Place.NEXT, null, null, Decision.CLEAR),
    /** No crash does this: commands are counted one by one. */
    GARBAGE(Place.LATER, null, null, Decision.CLEAR_AND_COUNT);

    private static final SlotCase[] ROWS = values();

    private final Place place;
    private final Bell bell;
    private final Entry entry;
    private final Decision decision;

    SlotCase(final Place place, final Bell bell, final Entry entry, final Decision decision) {
      this.place = place;
      this.bell = bell;
      this.entry = entry;
      this.decision = decision;
    }

    Decision decision() {
      return decision;
    }

    boolean matches(final Place actualPlace, final Bell actualBell, final Entry actualEntry) {
      return place == actualPlace
          && (bell == null || bell == actualBell)
          && (entry == null || entry == actualEntry);
    }

    static SlotCase of(final Place actualPlace, final Bell actualBell, final Entry actualEntry) {
      for (final SlotCase row : ROWS) {
        if (row.matches(actualPlace, actualBell, actualEntry)) {
          return row;
        }
      }
      throw new IllegalStateException(
          "no row for " + actualPlace + ", " + actualBell + ", " + actualEntry);
    }
  }

  /** What to do with one slot. */
  enum Decision {
    /** It is free. */
    KEEP,
    /** It becomes free. */
    CLEAR,
    /** It becomes free; counted. */
    CLEAR_AND_COUNT,
    /** It is free, and reaped goes past the entry. */
    COUNT_COMPLETION,
    /** It stays in flight; nobody may submit its request again. */
    WAIT,
    /** The same, and the doorbell is rung: once more at worst, with the same value. */
    RING_AND_WAIT
  }
}

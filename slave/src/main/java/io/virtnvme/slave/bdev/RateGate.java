package io.virtnvme.slave.bdev;

/**
 * The way of one reactor's rings to a disk that has {@link RateLimits}: while it is closed, they
 * wait in a line, and while it is open each takes its part of what there is, so that none of them
 * gets more through than the others. One reactor thread; calls of the data path do not allocate.
 *
 * <p>Who stands in the line asks again in every duty cycle. One that did not (its ring stopped, or
 * cannot be trusted any more) has left.
 */
public final class RateGate {
  private final RateLimits limits;
  private Place first;
  private Place last;
  private long cycleNs = Long.MIN_VALUE;
  private long previousCycleNs = Long.MIN_VALUE;

  /** Rings that asked in the duty cycle before this one, and in this one so far. */
  private int contenderCount;

  private int askedCount;

  /** What each of them may use up in this duty cycle, in time. */
  private long shareNs;

  RateGate(final RateLimits limits) {
    this.limits = limits;
  }

  /** A place for one more ring. Allocates. */
  public Place place() {
    return new Place();
  }

  private void begin(final long nowNs) {
    previousCycleNs = cycleNs;
    cycleNs = nowNs;
    contenderCount = askedCount;
    askedCount = 0;
    shareNs = contenderCount <= 1 ? Long.MAX_VALUE : (nowNs - limits.dueNs(nowNs)) / contenderCount;
  }

  private void remove(final Place place) {
    first = place.next;
    if (first == null) {
      last = null;
    }
    place.next = null;
    place.isInLine = false;
  }

  private void append(final Place place) {
    place.isInLine = true;
    if (last == null) {
      first = place;
    } else {
      last.next = place;
    }
    last = place;
  }

  /** Where one ring stands. */
  public final class Place {
    private Place next;
    private boolean isInLine;
    private long askedNs = Long.MIN_VALUE;

    /** The limits' due time when it was admitted. */
    private long admittedDueNs;

    /** The same before the last request, which tells what one costs. */
    private long lastDueNs;

    private Place() {}

    /** Whether anything is limited: if not, nothing else needs to be asked. */
    public boolean isLimited() {
      return limits.isOn();
    }

    /**
     * Whether a hold of the disk is not for this ring, a secondary's. There is nobody to take turns
     * with then, and whoever held the disk waits for the ring: so limits are not for it either.
     *
     * @param readOnly it changes nothing
     */
    public boolean passesHold(final boolean readOnly) {
      return switch (limits.heldAtMost()) {
        case NOBODY -> false;
        case GUESTS -> true;
        case WRITERS -> readOnly;
      };
    }

    /**
     * Whether the ring, which has a request, may take it now; else it stands in the line from now
     * on.
     *
     * @param nowNs time of the duty cycle
     */
    public boolean admits(final long nowNs) {
      if (nowNs != cycleNs) {
        begin(nowNs);
      }
      if (askedNs != nowNs) {
        askedNs = nowNs;
        askedCount++;
      }
      while (first != null && first.askedNs < previousCycleNs) {
        remove(first);
      }
      final long dueNs = limits.dueNs(nowNs);
      if (dueNs > nowNs || (first != null && first != this)) {
        if (!isInLine) {
          append(this);
        }
        return false;
      }
      if (isInLine) {
        remove(this);
      }
      admittedDueNs = dueNs;
      lastDueNs = dueNs;
      return true;
    }

    /** Whether the ring, which was admitted in this duty cycle, may take one more request. */
    public boolean goesOn(final long nowNs) {
      final long dueNs = limits.dueNs(nowNs);
      final long costNs = dueNs - lastDueNs;
      lastDueNs = dueNs;
      return dueNs <= nowNs && dueNs - admittedDueNs + costNs <= shareNs;
    }

    /** When the next request may begin, whoever's it is. */
    public long dueNs() {
      return limits.dueNs();
    }

    /** As {@link RateLimits#charge}. */
    public void charge(final int operation, final long bytes, final long nowNs) {
      limits.charge(operation, bytes, nowNs);
    }
  }
}

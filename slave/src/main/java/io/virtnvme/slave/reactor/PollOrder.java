package io.virtnvme.slave.reactor;

/**
 * Which rings a duty cycle looks at: those that had work of late each time, the others in turn, so
 * that hundreds of idle disks cost a busy one next to nothing. A ring that is looked at in turn is
 * looked at every {@link #TURN_NS}, so its first request after a while waits that long at most;
 * nothing else is different for it, and before the reactor sleeps it looks at all of them. One
 * reactor thread; data path, but for {@link #update}.
 */
final class PollOrder {
  /** So few rings are all looked at each time. */
  private static final int RING_COUNT_MIN = 8;

  /** A ring without work for so long is idle. */
  private static final long IDLE_NS = 10_000_000L;

  /** In this time each idle ring has its turn. */
  static final long TURN_NS = 100_000L;

  private static final long SORT_NS = 1_000_000L;

  private final int ringCountMin;
  private final long idleNs;
  private Ring[] started = new Ring[0];

  /** Those with work of late, then the idle ones. */
  private Ring[] order = new Ring[0];

  private int busyCount;

  /** The idle one whose turn is next. */
  private int next;

  private long lastTurnNs;
  private long lastSortNs;

  PollOrder() {
    this(RING_COUNT_MIN, IDLE_NS);
  }

  /**
   * One with other limits.
   *
   * @param ringCountMin so few rings are never idle
   * @param idleNs a ring without work for longer is idle
   */
  PollOrder(final int ringCountMin, final long idleNs) {
    this.ringCountMin = ringCountMin;
    this.idleNs = idleNs;
  }

  /** Begins a duty cycle. Where rings were started or ended since the last one, all are busy. */
  void update(final Ring[] nowStarted, final long nowNs) {
    if (nowStarted != started) {
      started = nowStarted;
      order = nowStarted.clone();
      busyCount = order.length;
      for (final Ring ring : order) {
        ring.lastWorkNs = nowNs;
      }
      lastTurnNs = nowNs;
      lastSortNs = nowNs;
    } else if (order.length > ringCountMin && nowNs - lastSortNs > SORT_NS) {
      lastSortNs = nowNs;
      sort(nowNs);
    }
  }

  private void sort(final long nowNs) {
    for (int i = busyCount - 1; i >= 0; i--) {
      if (nowNs - order[i].lastWorkNs > idleNs && order[i].mayIdle()) {
        busyCount--;
        swap(i, busyCount);
      }
    }
  }

  private void swap(final int one, final int other) {
    final Ring ring = order[one];
    order[one] = order[other];
    order[other] = ring;
  }

  /** The rings; the first {@link #busyCount} of them are to be looked at. */
  Ring[] rings() {
    return order;
  }

  int busyCount() {
    return busyCount;
  }

  /** How many idle rings have their turn in this duty cycle. */
  int turnCount(final long nowNs) {
    final int idleCount = order.length - busyCount;
    // By all rings, so that a turn is no longer for those that are left when others become busy.
    final long weighted = order.length * (nowNs - lastTurnNs);
    if (idleCount == 0) {
      lastTurnNs = nowNs;
      return 0;
    }
    if (weighted < TURN_NS) {
      // At once, and not only without idle rings: a division is dear in an empty duty cycle.
      return 0;
    }
    final long dueCount = weighted / TURN_NS;
    if (dueCount >= idleCount) {
      lastTurnNs = nowNs;
      return idleCount;
    }
    lastTurnNs += dueCount * TURN_NS / order.length;
    return (int) dueCount;
  }

  /** The idle ring whose turn is next. */
  Ring nextIdle() {
    next = next >= busyCount && next + 1 < order.length ? next + 1 : busyCount;
    return order[next];
  }

  /** The idle ring that {@link #nextIdle} gave last has work. */
  void onWork() {
    swap(next, busyCount);
    busyCount++;
  }
}

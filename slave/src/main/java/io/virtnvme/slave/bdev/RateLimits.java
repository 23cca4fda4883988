package io.virtnvme.slave.bdev;

import io.virtnvme.ipc.relay.BdevHold;
import io.virtnvme.ipc.relay.BdevLimits;
import java.util.Arrays;
import java.util.IdentityHashMap;
import java.util.concurrent.atomic.AtomicLongArray;

/**
 * How much of one disk may be used per second, over all reactors that serve it. Set on the control
 * thread; reactors ask and pay through their {@link RateGate}.
 *
 * <p>Each limit is a point in time, its <i>due time</i>: a request may begin when that has come,
 * and moves it on by what it costs at the limit's rate. Thus a request larger than what is left
 * begins nevertheless, and those behind it wait the longer; nothing has to be filled up by a timer.
 * What was not used is kept for {@link #BURST_NS} only.
 *
 * <p>A {@link BdevHold} is one more due time, which no request moves: so it ends by itself, also
 * when nobody is left who could end it.
 */
public final class RateLimits {
  /** Limits of a disk that cannot have any. */
  public static final RateLimits OFF = new RateLimits();

  /** How much a disk may catch up on, in time: a reactor may wake up late, or be preempted. */
  static final long BURST_NS = 10_000_000L;

  private static final long NS_PER_SECOND = 1_000_000_000L;
  private static final int MIB_SHIFT = 20;

  private static final int RW_IOS = 0;
  private static final int RW_BYTES = 1;
  private static final int READ_BYTES = 2;
  private static final int WRITE_BYTES = 3;
  private static final int HOLD = 4;
  private static final int LIMIT_COUNT = 5;

  /** By limit: units per second, 0 for none. Replaced, never changed. */
  private volatile long[] perSecond = new long[LIMIT_COUNT];

  /** By limit: nanoseconds of the reactors' clock. */
  private final AtomicLongArray dueNs = new AtomicLongArray(LIMIT_COUNT);

  private volatile boolean isOn;

  /** Whom {@link #HOLD} holds back. */
  private volatile BdevHold.Who held = BdevHold.Who.NOBODY;

  private final IdentityHashMap<Object, RateGate> gates = new IdentityHashMap<>();

  /** Nothing is limited. */
  public RateLimits() {
    forgive();
    dueNs.set(HOLD, Long.MIN_VALUE);
  }

  /** Takes over other limits, from now on; nobody has to wait for what was used before. */
  public void set(final BdevLimits limits) {
    if (this == OFF) {
      throw new IllegalStateException("this disk cannot be limited: " + limits);
    }
    final long[] rates = new long[LIMIT_COUNT];
    rates[RW_IOS] = limits.readWriteIos();
    rates[RW_BYTES] = limits.readWriteMib() << MIB_SHIFT;
    rates[READ_BYTES] = limits.readMib() << MIB_SHIFT;
    rates[WRITE_BYTES] = limits.writeMib() << MIB_SHIFT;
    rates[HOLD] = perSecond[HOLD];
    use(rates);
    forgive();
  }

  private void use(final long[] rates) {
    perSecond = rates;
    isOn = Arrays.stream(rates).anyMatch(rate -> rate != 0);
  }

  /**
   * Has new requests wait, or not any more. What runs already goes on; every reactor knows of it in
   * its next duty cycle. Control thread.
   */
  public void hold(final BdevHold hold) {
    if (this == OFF) {
      throw new IllegalStateException("this disk cannot be held: " + hold);
    }
    final boolean on = hold.who() != BdevHold.Who.NOBODY;
    dueNs.set(HOLD, on ? hold.untilNs() : Long.MIN_VALUE);
    held = hold.who();
    final long[] rates = perSecond.clone();
    rates[HOLD] = on ? 1 : 0;
    use(rates);
  }

  /** Whose requests wait now; what {@link #dueNs} says is not for others. Any thread. */
  public BdevHold.Who held() {
    final long untilNs = dueNs.get(HOLD);
    return untilNs == BdevHold.UNLIMITED || untilNs > System.nanoTime()
        ? held
        : BdevHold.Who.NOBODY;
  }

  /** Whom a hold means, whether or not it has ended. Data path. */
  BdevHold.Who heldAtMost() {
    return held;
  }

  private void forgive() {
    for (int i = 0; i < HOLD; i++) {
      dueNs.set(i, Long.MIN_VALUE);
    }
  }

  /**
   * The one gate of a reactor.
   *
   * @param reactor an object of its own
   */
  public RateGate gate(final Object reactor) {
    if (this == OFF) {
      return new RateGate(this);
    }
    synchronized (gates) {
      return gates.computeIfAbsent(reactor, key -> new RateGate(this));
    }
  }

  boolean isOn() {
    return isOn;
  }

  /** When the next request may begin: now, if this has come. */
  long dueNs() {
    final long[] rates = perSecond;
    long due = Long.MIN_VALUE;
    for (int i = 0; i < LIMIT_COUNT; i++) {
      if (rates[i] != 0) {
        due = Math.max(due, dueNs.get(i));
      }
    }
    return due;
  }

  /** The same, without what was not used and is not kept. */
  long dueNs(final long nowNs) {
    return Math.max(dueNs(), nowNs - BURST_NS);
  }

  /**
   * A request begins.
   *
   * @param operation of {@link BlockChannel}; a flush costs nothing, and what neither reads nor
   *     writes data costs no bytes
   */
  void charge(final int operation, final long bytes, final long nowNs) {
    if (operation == BlockChannel.OP_FLUSH) {
      return;
    }
    final long[] rates = perSecond;
    pay(rates, RW_IOS, 1, nowNs);
    if (operation == BlockChannel.OP_READ) {
      pay(rates, RW_BYTES, bytes, nowNs);
      pay(rates, READ_BYTES, bytes, nowNs);
    } else if (operation == BlockChannel.OP_WRITE) {
      pay(rates, RW_BYTES, bytes, nowNs);
      pay(rates, WRITE_BYTES, bytes, nowNs);
    }
  }

  private void pay(final long[] rates, final int limit, final long units, final long nowNs) {
    final long rate = rates[limit];
    if (rate == 0) {
      return;
    }
    final long due = dueNs.get(limit);
    final long earliest = nowNs - BURST_NS;
    if (due < earliest) {
      // Where another reactor is quicker, it has done the same.
      dueNs.compareAndSet(limit, due, earliest);
    }
    dueNs.getAndAdd(limit, units * NS_PER_SECOND / rate);
  }
}

package io.virtnvme.chaos;

import java.time.Duration;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.locks.LockSupport;

/** Bounded waits for what another process does. Any thread. */
final class Waiting {
  static final long POLL_NS = TimeUnit.MILLISECONDS.toNanos(5);

  /** What is waited for; may ask other processes. */
  @FunctionalInterface
  interface Condition {
    boolean holds() throws Exception;
  }

  private Waiting() {}

  /** Returns once the condition holds; an {@link AssertionError} names it when time is over. */
  static void until(final String what, final Duration limit, final Condition condition) {
    until(what, limit, POLL_NS, condition);
  }

  /** The same with a pause between two looks that suits how much a look costs. */
  static void until(
      final String what, final Duration limit, final long pollNs, final Condition condition) {
    if (!holdsWithin(limit, pollNs, condition)) {
      throw new AssertionError("not within " + limit.toMillis() + " ms: " + what);
    }
  }

  /** Whether the condition came to hold in time. */
  static boolean holdsWithin(final Duration limit, final Condition condition) {
    return holdsWithin(limit, POLL_NS, condition);
  }

  /** The same with a pause between two looks that suits how much a look costs. */
  static boolean holdsWithin(final Duration limit, final long pollNs, final Condition condition) {
    final long deadlineNs = System.nanoTime() + limit.toNanos();
    try {
      while (!condition.holds()) {
        if (System.nanoTime() - deadlineNs > 0) {
          return condition.holds();
        }
        LockSupport.parkNanos(pollNs);
      }
      return true;
    } catch (final RuntimeException e) {
      throw e;
    } catch (final Exception e) {
      throw new AssertionError(e.getMessage(), e);
    }
  }
}

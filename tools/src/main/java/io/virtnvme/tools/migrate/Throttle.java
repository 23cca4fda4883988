package io.virtnvme.tools.migrate;

import java.util.concurrent.TimeUnit;

/**
 * Slows down what guests write while a disk moves, more with each pass that does not help. The
 * master takes that off by itself when nobody renews it. Reads are not limited: those of the helper
 * are among them. One thread.
 */
final class Throttle {
  /** Longer than the destination takes to flush, or to read the next chunks that are compared. */
  private static final int LIMIT_MS = 20_000;

  private static final long RENEW_NS = TimeUnit.MILLISECONDS.toNanos(LIMIT_MS) / 4;

  private final DiskControl control;
  private final Progress progress;
  private long mibPerSecond;
  private long renewedNs;

  Throttle(final DiskControl control, final Progress progress) {
    this.control = control;
    this.progress = progress;
  }

  /** Whether writes cannot be slowed down further. */
  boolean isTightest() {
    return mibPerSecond == 1;
  }

  /** Half of what is sent, then half of that; each write marks more than it writes. */
  void tighten() {
    final long before = mibPerSecond == 0 ? progress.bytesPerSecond() >> 20 : mibPerSecond;
    mibPerSecond = Math.max(1, before / 2);
    progress.say("guests may write " + mibPerSecond + " MiB/s from now on");
    say();
  }

  /** To be called often. */
  void renew() {
    if (mibPerSecond != 0 && System.nanoTime() - renewedNs > RENEW_NS) {
      say();
    }
  }

  /** Guests write as before. */
  void end() {
    if (mibPerSecond != 0) {
      mibPerSecond = 0;
      say();
    }
  }

  private void say() {
    renewedNs = System.nanoTime();
    if (!control.throttle(mibPerSecond, LIMIT_MS)) {
      progress.say("the master has not heard that guests may write " + mibPerSecond + " MiB/s");
    }
  }
}

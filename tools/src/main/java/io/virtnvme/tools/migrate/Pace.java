package io.virtnvme.tools.migrate;

import java.util.concurrent.TimeUnit;
import java.util.concurrent.locks.LockSupport;

/** Keeps what is sent below a bandwidth. One thread. */
final class Pace {
  /** What may be caught up on. */
  private static final long BURST_NS = TimeUnit.MILLISECONDS.toNanos(20);

  private final long bytesPerSecond;
  private long dueNs = System.nanoTime();

  /** With a bandwidth, or 0 for any. */
  Pace(final long bytesPerSecond) {
    this.bytesPerSecond = bytesPerSecond;
  }

  /** These bytes were sent; returns when the next may be. */
  void sent(final int bytes) {
    if (bytesPerSecond == 0) {
      return;
    }
    final long nowNs = System.nanoTime();
    dueNs =
        Math.max(dueNs, nowNs - BURST_NS) + bytes * TimeUnit.SECONDS.toNanos(1) / bytesPerSecond;
    for (long left = dueNs - nowNs; left > 0; left = dueNs - System.nanoTime()) {
      LockSupport.parkNanos(left);
      if (Thread.currentThread().isInterrupted()) {
        return;
      }
    }
  }
}

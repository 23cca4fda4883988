package io.virtnvme.master.nvme;

import java.util.ArrayDeque;

/** Counts what happened within the last so many nanoseconds. One thread. */
final class SlidingCount {
  private record Entry(long atNs, long count) {}

  private final long windowNs;
  private final ArrayDeque<Entry> entries = new ArrayDeque<>();
  private long sum;

  SlidingCount(final long windowNs) {
    this.windowNs = windowNs;
  }

  void add(final long nowNs, final long count) {
    entries.addLast(new Entry(nowNs, count));
    sum += count;
  }

  long count(final long nowNs) {
    while (!entries.isEmpty() && nowNs - entries.peekFirst().atNs() > windowNs) {
      sum -= entries.removeFirst().count();
    }
    return sum;
  }

  void clear() {
    entries.clear();
    sum = 0;
  }
}

package io.virtnvme.tools.demo;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;

/** Pauses that a client felt, and their percentiles. */
public final class Blackouts {
  private static final double NS_PER_MS = 1e6;

  private final List<Long> valuesNs = new ArrayList<>();

  /** None yet. */
  public Blackouts() {}

  /** Adds a time. */
  public void add(final long blackoutNs) {
    valuesNs.add(blackoutNs);
  }

  int count() {
    return valuesNs.size();
  }

  /** In the order of the kills, milliseconds to three places. */
  double[] allMs() {
    return valuesNs.stream().mapToDouble(Blackouts::ms).toArray();
  }

  /** By nearest rank: a value that was measured; 0 without any. */
  public double percentileMs(final double percent) {
    final double[] sorted = allMs();
    if (sorted.length == 0) {
      return 0;
    }
    Arrays.sort(sorted);
    final int rank = (int) Math.ceil(percent / 100 * sorted.length);
    return sorted[Math.max(0, rank - 1)];
  }

  private static double ms(final long ns) {
    return Math.round(ns / NS_PER_MS * 1000) / 1000.0;
  }
}

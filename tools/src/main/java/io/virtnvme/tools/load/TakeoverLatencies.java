package io.virtnvme.tools.load;

import com.fasterxml.jackson.databind.node.JsonNodeFactory;
import com.fasterxml.jackson.databind.node.ObjectNode;
import org.HdrHistogram.Histogram;

/**
 * Latencies of the first thousand requests that a successor is given, by hundreds and over all
 * kills, beside those shortly before the kills. The client's thread; nothing allocates while the
 * load runs.
 */
final class TakeoverLatencies {
  private static final int GROUP_COUNT = 10;
  private static final int GROUP_REQUESTS = 100;
  private static final double NS_PER_US = 1e3;

  private final Histogram before;
  private final Histogram[] after = new Histogram[GROUP_COUNT];
  private boolean isKillAwaited;

  /** 0 until the disk goes on after a kill. */
  private long resumedNs;

  private int count = GROUP_COUNT * GROUP_REQUESTS;

  TakeoverLatencies(final long latencyMaxNs) {
    before = new Histogram(1, latencyMaxNs, 3);
    for (int i = 0; i < GROUP_COUNT; i++) {
      after[i] = new Histogram(1, latencyMaxNs, 3);
    }
  }

  /** From now on, until the kill, requests count as those before it. */
  void onKillAnnounced() {
    isKillAwaited = true;
  }

  void onKill() {
    isKillAwaited = false;
    resumedNs = 0;
    count = 0;
  }

  /** The disk did nothing until this moment. */
  void onGapEnd(final long endNs) {
    if (count == 0 && resumedNs == 0) {
      resumedNs = endNs;
    }
  }

  /** A request ended; what was submitted before the disk went on has the blackout in it. */
  void onCompletion(final long submittedNs, final long latencyNs) {
    if (isKillAwaited) {
      before.recordValue(latencyNs);
    } else if (count < GROUP_COUNT * GROUP_REQUESTS
        && resumedNs != 0
        && submittedNs - resumedNs >= 0) {
      after[count / GROUP_REQUESTS].recordValue(latencyNs);
      count++;
    }
  }

  ObjectNode toJson() {
    final ObjectNode json = JsonNodeFactory.instance.objectNode();
    put(json.putObject("before"), before);
    for (int i = 0; i < GROUP_COUNT; i++) {
      put(json.putObject("to" + (i + 1) * GROUP_REQUESTS), after[i]);
    }
    return json;
  }

  private static void put(final ObjectNode json, final Histogram histogram) {
    json.put("requests", histogram.getTotalCount())
        .put("p50", us(histogram.getValueAtPercentile(50)))
        .put("p99", us(histogram.getValueAtPercentile(99)))
        .put("max", us(histogram.getMaxValue()));
  }

  private static double us(final long ns) {
    return Math.round(ns / NS_PER_US * 100) / 100.0;
  }
}

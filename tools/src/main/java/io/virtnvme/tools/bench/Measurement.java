package io.virtnvme.tools.bench;

import java.util.ArrayList;
import java.util.List;
import java.util.function.ToDoubleFunction;

/** The runs of one work at one depth on one subject. Used by the benchmark's main thread. */
final class Measurement {
  private final Work work;
  private final int queueDepth;
  private final Subject subject;
  private final List<RunResult> runs = new ArrayList<>();

  Measurement(final Work work, final int queueDepth, final Subject subject) {
    this.work = work;
    this.queueDepth = queueDepth;
    this.subject = subject;
  }

  void add(final RunResult run) {
    runs.add(run);
  }

  Work work() {
    return work;
  }

  int queueDepth() {
    return queueDepth;
  }

  Subject subject() {
    return subject;
  }

  /** In the order they were made; none failed. */
  List<RunResult> runs() {
    return List.copyOf(runs);
  }

  /** Of the two in the middle the lower one, so that it is a value that was measured. */
  double median(final ToDoubleFunction<RunResult> value) {
    final double[] sorted = runs.stream().mapToDouble(value).sorted().toArray();
    return sorted.length == 0 ? 0 : sorted[(sorted.length - 1) / 2];
  }

  double least(final ToDoubleFunction<RunResult> value) {
    return runs.stream().mapToDouble(value).min().orElse(0);
  }

  double most(final ToDoubleFunction<RunResult> value) {
    return runs.stream().mapToDouble(value).max().orElse(0);
  }
}

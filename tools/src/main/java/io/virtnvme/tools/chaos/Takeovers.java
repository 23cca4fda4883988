package io.virtnvme.tools.chaos;

import com.fasterxml.jackson.databind.JsonNode;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Set;

/**
 * The takeovers that masters told of, each held against the faults: a slave that no fault had ended
 * was alive, and whoever took its seat took it for dead or hung without a reason. Main thread.
 */
final class Takeovers {
  private static final String HANDOVER = "handover";

  private final Set<Long> endedPids = new HashSet<>();
  private final List<String> unexplained = new ArrayList<>();

  /** Dead process and successor. */
  private final Set<String> counted = new HashSet<>();

  private long count;
  private long warmCount;
  private long resubmittedCount;

  /** A fault is about to end this process, so somebody may take its seat. */
  void expect(final long pid) {
    endedPids.add(pid);
  }

  /**
   * Counts those that were not counted before: a new master tells of the last one, too.
   *
   * @param recoveries what a master answered to {@code virtnvme_get_recoveries}, oldest first
   */
  void add(final JsonNode recoveries) {
    for (final JsonNode recovery : recoveries) {
      final String pids = recovery.path("dead_pid") + " " + recovery.path("successor_pid");
      if (counted.add(pids)) {
        count(recovery);
      }
    }
  }

  private void count(final JsonNode recovery) {
    final long deadPid = recovery.path("dead_pid").asLong();
    final String cause = recovery.path("cause").asText();
    count++;
    warmCount += recovery.path("warm").asBoolean() ? 1 : 0;
    resubmittedCount += recovery.path("resubmitted").asLong();
    // One fault explains one takeover; the number of the process may be given anew.
    final boolean isExplained = endedPids.remove(deadPid) && !cause.equals(HANDOVER);
    if (!isExplained) {
      unexplained.add(
          "process "
              + recovery.path("successor_pid").asLong()
              + " took seat "
              + recovery.path("seat").asInt()
              + " of process "
              + deadPid
              + ", which no fault had ended (cause: "
              + cause
              + ")");
    }
  }

  long count() {
    return count;
  }

  /** How many were by a warm standby. */
  long warmCount() {
    return warmCount;
  }

  /** Requests found in flight and carried out again. */
  long resubmittedCount() {
    return resubmittedCount;
  }

  /** One sentence for each that no fault explains. */
  List<String> unexplained() {
    return List.copyOf(unexplained);
  }
}

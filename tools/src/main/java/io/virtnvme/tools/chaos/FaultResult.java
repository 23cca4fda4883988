package io.virtnvme.tools.chaos;

import java.util.List;
import java.util.Map;

/**
 * One fault and what the clients felt.
 *
 * @param kind what was done
 * @param number counts from 1
 * @param atMs milliseconds after the start of the campaign
 * @param felt by each group of disks
 * @param note what is special about it; empty as a rule
 */
record FaultResult(FaultKind kind, int number, long atMs, Map<DiskGroup, Felt> felt, String note) {
  /** Of the counts, so many milliseconds lie before the fault. */
  static final int BEFORE_MS = 150;

  static final int AFTER_MS = 3000;

  /**
   * What the clients of one group felt.
   *
   * @param blackoutMs longest pause between two completions of the client that suffered most; 0 for
   *     none worth noting
   * @param counts requests completed in each millisecond around the fault
   */
  record Felt(double blackoutMs, List<Integer> counts) {}

  /** What the client that suffered most felt. */
  double blackoutMs() {
    return felt.values().stream().mapToDouble(Felt::blackoutMs).max().orElse(0);
  }
}

package io.virtnvme.master.rpc;

import java.util.List;

/**
 * What an upgrade of the slaves did.
 *
 * @param build version of the build that serves now
 * @param moves seats in the order in which they changed hands
 */
public record UpgradeInfo(String build, List<Move> moves) {
  public UpgradeInfo {
    moves = List.copyOf(moves);
  }

  /**
   * A slave that gave way to one of the other build.
   *
   * @param seats what it owned
   * @param fromPid the process that served before
   * @param toPid the process that serves now
   * @param drained whether it handed over by itself; otherwise it was killed
   * @param tookUs from the request to let go until the new owner reported, in microseconds
   */
  public record Move(List<Integer> seats, int fromPid, int toPid, boolean drained, long tookUs) {
    public Move {
      seats = List.copyOf(seats);
    }
  }
}

package io.virtnvme.master.rpc;

import java.util.List;

/**
 * A controller as it is.
 *
 * @param spec what was asked for
 * @param socketPath absolute path of the listening socket
 * @param seat the seat that serves its sessions
 * @param cores the cores of that seat
 * @param sessions connected front-ends
 */
public record ControllerInfo(
    BlkControllerSpec spec,
    String socketPath,
    int seat,
    List<Integer> cores,
    List<Session> sessions) {
  public ControllerInfo {
    cores = List.copyOf(cores);
    sessions = List.copyOf(sessions);
  }

  /**
   * One connected front-end.
   *
   * @param id number of the session, unique within the instance
   * @param started whether at least one ring is running
   * @param queues rings that the front-end has set up
   * @param inflight requests taken from the rings and not completed
   */
  public record Session(int id, boolean started, int queues, int inflight) {}
}

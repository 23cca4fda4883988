package io.virtnvme.master.rpc;

import java.util.List;

/**
 * A subsystem as it is.
 *
 * @param subsystem what was made
 * @param seat the seat that serves it
 * @param controllers one per connected front-end
 */
public record NvmfSubsystemInfo(NvmfSubsystem subsystem, int seat, List<Controller> controllers) {
  public NvmfSubsystemInfo {
    controllers = List.copyOf(controllers);
  }

  /**
   * One connected front-end.
   *
   * @param cntlid its controller id
   * @param traddr the listener that it came by
   * @param sessionId number of the session, unique within the instance
   * @param ioQueues queues that carried I/O
   */
  public record Controller(int cntlid, String traddr, long sessionId, int ioQueues) {}
}

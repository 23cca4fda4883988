package io.virtnvme.slave.vfio;

/** Makes the controllers of sessions. Control thread. */
public interface NvmeDevices {
  /** Bytes of a controller area. */
  long areaLength();

  /** Makes a zeroed controller area valid, before anybody else knows of it. */
  void format(long areaAddress, long sessionId);

  /**
   * A controller that does nothing yet: its queues may be prepared, or started by {@link
   * NvmeDevice#resume}.
   *
   * @return null while this process has nothing to do with the seat
   * @throws io.virtnvme.slave.session.SessionException when the area is not to be used, or a
   *     namespace's disk is not open here
   */
  NvmeDevice make(NvmeMachine machine);

  /** Whether a controller belongs to the seat as this process has it now. */
  boolean isUsable(NvmeDevice device);
}

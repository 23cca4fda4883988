package io.virtnvme.ipc.nvme.queue;

/**
 * Why a slave gave up a queue pair until the master has created it anew; the code stands in the
 * segment, so it never changes.
 */
public enum DeviceQueueFault {
  NONE(0),
  /**
   * The device completed a command that is not in flight: an unknown id, or for the second time.
   */
  UNKNOWN_COMMAND_ID(1),
  /** A completion names another submission queue. */
  WRONG_QUEUE_ID(2),
  /** The journal does not belong to these queues, or its memory was damaged. */
  DAMAGED_JOURNAL(3);

  private final int code;

  DeviceQueueFault(final int code) {
    this.code = code;
  }

  public int code() {
    return code;
  }
}

package io.virtnvme.slave.nvme;

/** What a driver did wrong with a doorbell (base specification 2.0, figure 146: error events). */
public enum DoorbellFault {
  /** A doorbell of a queue that does not exist. */
  INVALID_REGISTER,
  /** A value outside the queue, or the one that it had. */
  INVALID_VALUE
}

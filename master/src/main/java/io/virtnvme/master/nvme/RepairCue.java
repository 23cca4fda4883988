package io.virtnvme.master.nvme;

/** What a repair can learn; {@link RepairTable} says what follows. */
enum RepairCue {
  /** What the state waits for has come true; in the first one: all is well. */
  WELL,
  /** A command has no end, and aborting may help. */
  HUNG,
  /** A command has no end, and aborting was tried often enough. */
  HUNG_AGAIN,
  /** Only a reset may help; or a reset failed. */
  BROKEN,
  /** The registers read as all ones. */
  LOST,
  /** The state's limit is over. */
  TIME_UP,
  /** The same, when there is nothing wrong with the device: the operator's reset is called off. */
  CALLED_OFF,
  /** The operator wants a reset. */
  ASKED
}

package io.virtnvme.slave.nvme;

/** What the queues of a controller tell. Called on reactor threads; returns at once. */
public interface QueueReports {
  /**
   * An admin command was fetched and journalled, or is inflight after a takeover.
   *
   * @param fetchNumber names it until its completion
   * @param entry its 64 bytes, a copy
   */
  void onAdminCommand(long fetchNumber, byte[] entry);

  /** A doorbell was written wrongly. */
  void onDoorbellFault(DoorbellFault fault);

  /**
   * A command failed. The queue reports no other one before {@code whenLogged} ran, on any thread.
   */
  void onCommandFailed(CommandError error, Runnable whenLogged);

  /** Runs something on the control thread, later. */
  void execute(Runnable task);
}

package io.virtnvme.slave.nvme;

/** What the queues of a controller tell the session; called on the control thread. */
public interface QueueEvents {
  /** See {@link NvmeController#execute}; none comes before the admin queue was asked to start. */
  void onAdminRequest(AdminRequest request);

  /** See {@link NvmeController#doorbellFault}. */
  void onDoorbellFault(DoorbellFault fault);

  /** See {@link NvmeController#commandFailed}. */
  void onCommandFailed(CommandError error, Runnable whenLogged);
}

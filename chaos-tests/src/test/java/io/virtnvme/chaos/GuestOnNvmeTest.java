package io.virtnvme.chaos;

/** The campaign on an NVMe controller whose doorbells the guest writes to memory. */
final class GuestOnNvmeTest extends GuestKillCampaign {
  GuestOnNvmeTest() {
    super(new GuestFrontEnd.Nvme(true));
  }
}

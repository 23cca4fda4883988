package io.virtnvme.chaos;

/** The campaign on split virtqueues. */
final class GuestOnSplitRingsTest extends GuestKillCampaign {
  GuestOnSplitRingsTest() {
    super(new GuestFrontEnd.Virtio(false));
  }
}

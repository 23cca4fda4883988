package io.virtnvme.chaos;

/** The campaign on packed virtqueues. */
final class GuestOnPackedRingsTest extends GuestKillCampaign {
  GuestOnPackedRingsTest() {
    super(new GuestFrontEnd.Virtio(true));
  }
}

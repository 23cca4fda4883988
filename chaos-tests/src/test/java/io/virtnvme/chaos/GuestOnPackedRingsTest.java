package io.virtnvme.chaos;

/** The campaign on packed virtqueues. */
final class GuestOnPackedRingsTest extends GuestKillCampaign {
  GuestOnPackedRingsTest() {
    super(true);
  }
}

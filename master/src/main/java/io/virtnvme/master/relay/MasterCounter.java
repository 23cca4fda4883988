package io.virtnvme.master.relay;

import java.util.Locale;

/** What the master counts. The order is stable: new counters go to the end. */
public enum MasterCounter {
  SESSIONS_OPENED("front-end connections accepted"),
  SESSIONS_ENDED("front-end connections that are over"),
  SESSIONS_REFUSED("connections refused: too many per controller, or no room for their segment"),
  SESSIONS_ADOPTED("connections taken over from a dead master"),
  SESSIONS_FAILED("sessions ended because the guest or the front-end broke the rules"),
  MESSAGES_RELAYED("messages given to slaves, repetitions included"),
  MESSAGES_REPEATED("messages given to a successor, because the slave before died with them"),
  MESSAGES_SETTLED("messages answered and taken out of their socket"),
  MESSAGE_VIOLATIONS("messages too long, with too many descriptors, or cut in too many pieces"),
  REPLIES_UNREAD("sessions closed because the front-end does not read its replies"),
  SLAVES_STARTED("slave processes started"),
  SLAVES_ADOPTED("slave processes found alive after a restart of the master"),
  SLAVES_DIED("slave processes that ended without being told to"),
  SLAVES_KILLED("slave processes killed because they hung or broke the protocol"),
  SEATS_TAKEN("times that a slave took a seat"),
  SEATS_FAILED("times that a seat was given up on"),
  MEM_DISKS_RECREATED("memory disks made again, empty, because their segment was gone"),
  SLAVES_SUSPECTED("times that a reactor gave no heartbeat for half the hang limit"),
  SLAVES_STARVED("times that one stood still beyond the limit for want of a core, and was spared"),
  UPGRADES("upgrades of the slaves that were carried out"),
  UPGRADES_REFUSED("upgrades that failed before anything moved"),
  UPGRADES_ROLLED_BACK("upgrades that were undone because the other build failed"),
  SECONDARIES_REFUSED("secondaries refused because their user may not attach"),
  DEVICE_RESETS("resets of NVMe controllers that were begun");

  private final String sentence;

  MasterCounter(final String sentence) {
    this.sentence = sentence;
  }

  /** The name that {@code virtnvme_get_status} shows. */
  public String label() {
    return name().toLowerCase(Locale.ROOT);
  }

  public String sentence() {
    return sentence;
  }
}

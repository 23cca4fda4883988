package io.virtnvme.master.nvme;

import java.util.Locale;

/** What kind of trouble a device is in: it decides what may help. */
public enum Trouble {
  NONE,
  /** Registers read as all ones: taken out, or its link is down. It may come back by itself. */
  LINK,
  /**
   * A fatal error (CSTS.CFS), a controller that does not start or stop in time, was reset behind
   * our back, or completes what was not sent. A reset may help.
   */
  CONTROLLER,
  /** An admin command had no answer, and aborting it did not help. A reset may help. */
  ADMIN,
  /** An I/O command has no end. Aborting it may help, else a reset. */
  COMMAND,
  /** A slave gave a queue pair up: the device, or memory, broke its rules. Needs a reset. */
  QUEUE,
  /** Many commands ended with errors that are not the medium's. A reset may help. */
  TRANSPORT,
  /** The medium lost data: nothing here helps, the operator must know. */
  MEDIA,
  /** The device warns of itself (SMART): the operator must know. */
  WARNING;

  /** As RPC clients see it. */
  public String label() {
    return name().toLowerCase(Locale.ROOT);
  }
}

package io.virtnvme.chaos.sim;

/** Ends a slave in the middle of what it does. Nobody in the product catches it. */
final class Killed extends Error {
  private static final long serialVersionUID = 1L;

  Killed() {
    super("killed", null, false, false);
  }
}

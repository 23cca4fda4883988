package io.virtnvme.master.relay;

/** What the relay asks of those who know the slaves. Conductor thread. */
public interface SlaveSide {
  /** Gives the session's message to the owner of its seat; without an owner, to the next one. */
  void relay(FrontEndSession session);

  /** The session is new here: every slave that may serve it must have its record. */
  void share(FrontEndSession session);

  /** The owner of the session's seat made a new record: everybody else must have it too. */
  void shareOwners(FrontEndSession session);

  /**
   * Whether every slave that may serve the session next has been sent the newest record: it is in
   * the slave's socket at least, where this process may die without taking it along.
   */
  boolean isShared(FrontEndSession session);

  /**
   * The session is over. Every slave that was told of it must forget it before {@link
   * Relay#onForgotten}: one that has not might take the seat and run the rings of a guest that is
   * served through a newer session already.
   *
   * @return false when no slave knows it
   */
  boolean close(FrontEndSession session);

  /** Last look at the session's counters before its segment goes. */
  void onEnded(FrontEndSession session);
}

package io.virtnvme.slave.session;

/**
 * What a message asks for: the state after it and what goes with it. Made by {@link
 * MessageHandler}, which changes nothing itself.
 *
 * @param state the state after the message
 * @param reply the reply, or null when the message has none of its own
 * @param slotsOfFds for each descriptor of the message the slot that it belongs into, or -1
 * @param createInflight the state's inflight region is new and has no file yet
 * @param replyWithInflight that file goes with the reply
 * @param ringToCheck this ring must be able to run if it is complete; -1 = none
 * @param ringToLocate the addresses of this ring must be in memory, if there is any; -1 = none
 * @param ringToReset the journal of this stopped ring starts anew; -1 = none
 * @param ringToTell the reply is the base of this ring, known when it has stopped; -1 = none
 */
@SuppressWarnings("ArrayRecordComponent")
record Change(
    SessionState state,
    byte[] reply,
    int[] slotsOfFds,
    boolean createInflight,
    boolean replyWithInflight,
    int ringToCheck,
    int ringToLocate,
    int ringToReset,
    int ringToTell) {
  static final int NO_RING = -1;
  private static final int[] NO_SLOTS = {};

  static Change to(final SessionState state) {
    return new Change(state, null, NO_SLOTS, false, false, NO_RING, NO_RING, NO_RING, NO_RING);
  }

  Change withReply(final byte[] bytes) {
    return new Change(
        state,
        bytes,
        slotsOfFds,
        createInflight,
        replyWithInflight,
        ringToCheck,
        ringToLocate,
        ringToReset,
        ringToTell);
  }

  Change withSlots(final int... slots) {
    return new Change(
        state,
        reply,
        slots,
        createInflight,
        replyWithInflight,
        ringToCheck,
        ringToLocate,
        ringToReset,
        ringToTell);
  }

  Change withNewInflight(final InflightState inflight, final boolean inReply) {
    return new Change(
        state.withInflight(inflight),
        reply,
        slotsOfFds,
        true,
        inReply,
        ringToCheck,
        ringToLocate,
        ringToReset,
        ringToTell);
  }

  Change checking(final int ring) {
    return new Change(
        state,
        reply,
        slotsOfFds,
        createInflight,
        replyWithInflight,
        ring,
        ringToLocate,
        ringToReset,
        ringToTell);
  }

  Change locating(final int ring) {
    return new Change(
        state,
        reply,
        slotsOfFds,
        createInflight,
        replyWithInflight,
        ringToCheck,
        ring,
        ringToReset,
        ringToTell);
  }

  Change resetting(final int ring) {
    return new Change(
        state,
        reply,
        slotsOfFds,
        createInflight,
        replyWithInflight,
        ringToCheck,
        ringToLocate,
        ring,
        ringToTell);
  }

  Change telling(final int ring) {
    return new Change(
        state,
        reply,
        slotsOfFds,
        createInflight,
        replyWithInflight,
        ringToCheck,
        ringToLocate,
        ringToReset,
        ring);
  }
}

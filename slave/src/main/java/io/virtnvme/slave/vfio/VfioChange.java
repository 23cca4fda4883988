package io.virtnvme.slave.vfio;

import java.util.ArrayList;
import java.util.List;

/**
 * What a message asks for: the state after it and what goes with it. Made by {@link VfioMessages},
 * which changes nothing itself.
 */
final class VfioChange {
  /** A write to BAR0; at most eight bytes. */
  record RegisterWrite(int offset, int width, long value) {}

  private static final int[] NO_SLOTS = {};

  private final VfioState state;
  private final byte[] reply;
  private final List<RegisterWrite> writes = new ArrayList<>();
  private int[] slotsOfFds = NO_SLOTS;
  private int[] triggeredSlots = NO_SLOTS;
  private boolean replyWithDoorbells;
  private boolean reset;
  private int readOffset;
  private int readCount;
  private int readTo;

  /**
   * A change.
   *
   * @param state the state after the message
   * @param reply the whole reply; what is read from BAR0 is filled in later
   */
  VfioChange(final VfioState state, final byte[] reply) {
    this.state = state;
    this.reply = reply;
  }

  VfioState state() {
    return state;
  }

  byte[] reply() {
    return reply;
  }

  /** For each descriptor of the message the slot that it belongs into, or -1. */
  int[] slotsOfFds() {
    return slotsOfFds;
  }

  VfioChange withSlots(final int... slots) {
    slotsOfFds = slots;
    return this;
  }

  /** Slots of eventfds that the front-end wants to be signalled. */
  int[] triggeredSlots() {
    return triggeredSlots;
  }

  VfioChange triggering(final int... slots) {
    triggeredSlots = slots;
    return this;
  }

  /** The doorbell page goes with the reply. */
  boolean isReplyWithDoorbells() {
    return replyWithDoorbells;
  }

  VfioChange withDoorbells() {
    replyWithDoorbells = true;
    return this;
  }

  /** The function is reset before anything else. */
  boolean isReset() {
    return reset;
  }

  VfioChange resetting(final boolean wanted) {
    reset |= wanted;
    return this;
  }

  /** Writes to BAR0, in order. */
  List<RegisterWrite> writes() {
    return writes;
  }

  /** A range of BAR0 is to be read into the reply. */
  VfioChange reading(final int offset, final int count, final int to) {
    readOffset = offset;
    readCount = count;
    readTo = to;
    return this;
  }

  int readOffset() {
    return readOffset;
  }

  /** Bytes to read from BAR0; 0 for none. */
  int readCount() {
    return readCount;
  }

  /** Where they go in the reply. */
  int readTo() {
    return readTo;
  }
}

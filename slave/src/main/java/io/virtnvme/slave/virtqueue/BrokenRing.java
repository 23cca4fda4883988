package io.virtnvme.slave.virtqueue;

/**
 * Why a ring is broken, kept without text until somebody asks. The first reason stays. One reactor
 * thread.
 */
final class BrokenRing {
  private RingFault fault;
  private long first;
  private long second;
  private String complaint;

  boolean isBroken() {
    return fault != null;
  }

  void because(final RingFault newFault, final long newFirst, final long newSecond) {
    if (fault == null) {
      fault = newFault;
      first = newFirst;
      second = newSecond;
    }
  }

  /** The journal cannot be used; the complaint is a sentence with the values. */
  void becauseOfJournal(final String newComplaint) {
    if (fault == null) {
      fault = RingFault.JOURNAL;
      complaint = newComplaint;
    }
  }

  /** A sentence with the values, or null. */
  String reason() {
    if (fault == null) {
      return null;
    }
    final String text = fault.text(first, second);
    return complaint == null ? text : text + ": " + complaint;
  }
}

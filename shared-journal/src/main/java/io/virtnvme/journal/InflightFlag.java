package io.virtnvme.journal;

/** What the inflight byte of an entry holds; the specification knows 0 and 1. */
enum InflightFlag {
  CLEAR,
  SET,
  GARBAGE;

  static InflightFlag of(final byte value) {
    return value == 0 ? CLEAR : value == 1 ? SET : GARBAGE;
  }
}

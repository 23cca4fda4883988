package io.virtnvme.chaos.sim;

import java.util.ArrayList;
import java.util.List;

/** Everything that happened in a run, as a hash, and as lines if somebody wants to read them. */
final class Trace {
  private static final long PRIME = 0x100000001B3L;

  private final List<String> lines;
  private long hash = 0xCBF29CE484222325L;
  private int step;

  /** Keeps lines only if they are {@code kept}: they cost time. */
  Trace(final boolean kept) {
    this.lines = kept ? new ArrayList<>() : null;
  }

  void step(final int newStep) {
    step = newStep;
  }

  void note(final String what) {
    note(what, 0, 0, 0);
  }

  void note(final String what, final long a) {
    note(what, a, 0, 0);
  }

  void note(final String what, final long a, final long b) {
    note(what, a, b, 0);
  }

  void note(final String what, final long a, final long b, final long c) {
    mix(step);
    mix(what.hashCode());
    mix(a);
    mix(b);
    mix(c);
    if (lines != null) {
      lines.add(step + " " + what + " " + a + " " + b + " " + c);
    }
  }

  private void mix(final long value) {
    hash = (hash ^ value) * PRIME;
    hash ^= hash >>> 29;
  }

  long hash() {
    return hash;
  }

  /** The lines, in order; empty if they were not kept. */
  List<String> lines() {
    return lines == null ? List.of() : List.copyOf(lines);
  }
}

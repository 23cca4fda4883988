package io.virtnvme.chaos.sim;

/** Something that must never happen did. */
final class Violation extends AssertionError {
  private static final long serialVersionUID = 1L;

  Violation(final String text) {
    super(text);
  }

  Violation(final String text, final Throwable cause) {
    super(text, cause);
  }
}

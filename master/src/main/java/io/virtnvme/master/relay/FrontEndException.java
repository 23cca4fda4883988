package io.virtnvme.master.relay;

/** A front-end broke the rules, or is gone: its session ends, nobody else's. */
final class FrontEndException extends Exception {
  private static final long serialVersionUID = 1L;

  FrontEndException(final String problem) {
    super(problem, null, false, false);
  }
}

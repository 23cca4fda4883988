package io.virtnvme.master.relay;

/** A front-end broke the rules, or is gone: its session ends, nobody else's. */
final class FrontEndException extends Exception {
  private static final long serialVersionUID = 1L;

  private final boolean gone;

  private FrontEndException(final String problem, final boolean gone) {
    super(problem, null, false, false);
    this.gone = gone;
  }

  static FrontEndException brokeTheRules(final String problem) {
    return new FrontEndException(problem, false);
  }

  static FrontEndException isGone(final String problem) {
    return new FrontEndException(problem, true);
  }

  /** True when it only hung up, which everybody may. */
  boolean isGone() {
    return gone;
  }
}

package io.virtnvme.slave.session;

import java.util.HashMap;
import java.util.Map;
import java.util.function.Consumer;

/**
 * Log lines that a guest or a front-end can bring about as often as it likes. Of each cause the
 * first is logged, and from then on one for twice as many, with their number. One thread.
 */
public final class Complaints {
  /** Causes that are told apart; what comes after so many counts as one. */
  static final int CAUSES_MAX = 64;

  private static final String OTHERS = "others";

  private final String subject;
  private final Consumer<String> log;
  private final Map<String, Long> counts = new HashMap<>();

  /**
   * None yet.
   *
   * @param subject who complains, the beginning of each line
   * @param log takes a line
   */
  public Complaints(final String subject, final Consumer<String> log) {
    this.subject = subject;
    this.log = log;
  }

  /**
   * Counts one more.
   *
   * @param cause what happened, without values that the other side chooses
   * @param reason with values, and what to do
   */
  public void add(final String cause, final String reason) {
    final boolean isToldApart = counts.containsKey(cause) || counts.size() < CAUSES_MAX;
    final long count = counts.merge(isToldApart ? cause : OTHERS, 1L, Long::sum);
    if (Long.bitCount(count) == 1) {
      log.accept(subject + ": " + cause + ": " + reason + " (count=" + count + ")");
    }
  }
}

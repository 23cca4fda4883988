package io.virtnvme.master.supervisor;

/**
 * How soon a slave is started again, and when that is given up. A slave that served for a while
 * counts as a success, whatever ended it: only failures in a row slow restarts down and end them.
 */
final class RestartPolicy {
  /** What {@link #onFailure} answers when the limit is reached. */
  static final long GIVE_UP = -1;

  private final int failuresMax;
  private final long firstDelayNs;
  private final long delayNsMax;
  private int failures;

  RestartPolicy(final int failuresMax, final long firstDelayNs, final long delayNsMax) {
    this.failuresMax = failuresMax;
    this.firstDelayNs = firstDelayNs;
    this.delayNsMax = delayNsMax;
  }

  /** One more failure; how long to wait before the next start, or {@link #GIVE_UP}. */
  long onFailure() {
    failures++;
    if (failures >= failuresMax) {
      return GIVE_UP;
    }
    // The first restart is immediate: most deaths are not repeated.
    return failures == 1
        ? 0
        : Math.min(delayNsMax, firstDelayNs << Math.min(failures - 2, Long.SIZE / 2));
  }

  void onSuccess() {
    failures = 0;
  }

  /** Failures in a row. */
  int failures() {
    return failures;
  }
}

package io.virtnvme.master.nvme;

import java.math.BigInteger;
import java.util.List;
import java.util.StringJoiner;
import java.util.function.BiConsumer;

/**
 * What an operator should hear of a device's medium and health: each thing once, and media errors
 * not more often than every ten seconds. Conductor thread.
 */
final class HealthNotes {
  private static final long MEDIA_INTERVAL_NS = 10_000_000_000L;

  /** Critical warning, by bit (base specification 2.0, figure 207). */
  private static final List<String> WARNINGS =
      List.of("spare", "temperature", "reliability", "read only", "backup", "persistent memory");

  private final BiConsumer<Trouble, String> listener;
  private HealthLog last;
  private long mediaErrors;
  private long mediaErrorsTold;
  private long mediaToldNs;

  HealthNotes(final BiConsumer<Trouble, String> listener) {
    this.listener = listener;
  }

  /** The last log; null when there was none. */
  HealthLog last() {
    return last;
  }

  /** A log was read. */
  void onHealth(final HealthLog now) {
    final int before = last == null ? 0 : last.criticalWarning();
    if (now.criticalWarning() != before) {
      listener.accept(
          Trouble.WARNING,
          "critical warning: " + text(now.criticalWarning()) + "; before: " + text(before));
    }
    final BigInteger errorsBefore = last == null ? BigInteger.ZERO : last.mediaErrors();
    if (now.mediaErrors().compareTo(errorsBefore) > 0) {
      listener.accept(
          Trouble.MEDIA,
          "the device counts " + now.mediaErrors() + " media errors; before: " + errorsBefore);
    }
    last = now;
  }

  private static String text(final int warning) {
    final StringJoiner text =
        new StringJoiner(", ", "0x" + Integer.toHexString(warning) + " (", ")");
    text.setEmptyValue("none");
    for (int bit = 0; bit < Byte.SIZE; bit++) {
      if (((warning >>> bit) & 1) != 0) {
        text.add(bit < WARNINGS.size() ? WARNINGS.get(bit) : "bit " + bit);
      }
    }
    return text.toString();
  }

  /** Slaves have seen so many more. */
  void onMediaErrors(final long count) {
    mediaErrors += count;
  }

  /** Tells what there is to tell. */
  void doWork(final long nowNs) {
    if (mediaErrors != mediaErrorsTold
        && (mediaErrorsTold == 0 || nowNs - mediaToldNs >= MEDIA_INTERVAL_NS)) {
      listener.accept(
          Trouble.MEDIA,
          mediaErrors
              - mediaErrorsTold
              + " commands ended with media errors, "
              + mediaErrors
              + " in all; no reset helps: move the data, replace the device");
      mediaErrorsTold = mediaErrors;
      mediaToldNs = nowNs;
    }
  }
}

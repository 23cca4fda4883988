package io.virtnvme.tools.migrate;

import java.util.Locale;
import java.util.concurrent.TimeUnit;
import java.util.function.Consumer;
import java.util.function.LongSupplier;

/** What a migration has done so far, and a line about it each second. One thread. */
final class Progress {
  private static final long LINE_NS = TimeUnit.SECONDS.toNanos(1);
  private static final double MIB = 1 << 20;

  /** Less tells nothing of a rate. */
  private static final long RATE_BYTES_MIN = 1 << 20;

  /** Until something was measured. */
  private static final double RATE_UNKNOWN = 64 * MIB;

  private final Consumer<String> lines;
  private final LongSupplier clockNs;
  private final long startedNs;
  private int passCount;
  private long passStartedNs;
  private long passSentBytes;
  private long passDoneBytes;
  private long passTotalBytes;
  private long passSendNs;
  private long markNs;
  private long lastLineNs;
  private double rate = RATE_UNKNOWN;
  private long sentBytes;
  private long zeroBytes;
  private long skippedBytes;
  private long duplicateBytes;

  Progress(final Consumer<String> lines, final LongSupplier clockNs) {
    this.lines = lines;
    this.clockNs = clockNs;
    this.startedNs = clockNs.getAsLong();
    this.lastLineNs = startedNs;
  }

  void say(final String line) {
    lines.accept(line);
  }

  void beginPass(final long totalBytes) {
    passCount++;
    passStartedNs = clockNs.getAsLong();
    markNs = passStartedNs;
    passSendNs = 0;
    passSentBytes = 0;
    passDoneBytes = 0;
    passTotalBytes = totalBytes;
  }

  /** A frame with this much of the disk went out. */
  void onSent(final long bytes) {
    sentBytes += bytes;
    passSentBytes += bytes;
  }

  void onZero(final long bytes) {
    zeroBytes += bytes;
  }

  /** The destination has this much already. */
  void onSkipped(final long bytes) {
    skippedBytes += bytes;
  }

  /** The destination copies this much by itself. */
  void onDuplicate(final long bytes) {
    duplicateBytes += bytes;
  }

  /**
   * This much of the pass is done.
   *
   * @param isSent whether it went out; only the time of that counts for the rate
   */
  void onDone(final long bytes, final boolean isSent) {
    passDoneBytes += bytes;
    final long nowNs = clockNs.getAsLong();
    if (isSent) {
      passSendNs += nowNs - markNs;
    }
    markNs = nowNs;
    if (nowNs - lastLineNs >= LINE_NS) {
      lastLineNs = nowNs;
      final double seconds = (nowNs - passStartedNs) / 1e9;
      final double perSecond = passDoneBytes / Math.max(1e-3, seconds);
      say(
          String.format(
              Locale.ROOT,
              "pass %d: %.0f of %.0f MiB, %.0f MiB sent, %.0f MiB/s, %.0f s left",
              passCount,
              passDoneBytes / MIB,
              passTotalBytes / MIB,
              sentBytes / MIB,
              perSecond / MIB,
              Math.max(0, passTotalBytes - passDoneBytes) / perSecond));
    }
  }

  /** The destination has written what was sent in this pass. */
  void endPass() {
    final long nowNs = clockNs.getAsLong();
    final double seconds = (nowNs - passStartedNs) / 1e9;
    if (passSentBytes >= RATE_BYTES_MIN) {
      // What was still on its way when the last of it was read took time, too.
      rate = passSentBytes * 1e9 / (passSendNs + nowNs - markNs);
    }
    say(
        String.format(
            Locale.ROOT,
            "pass %d: %.1f MiB sent in %.3f s",
            passCount,
            passSentBytes / MIB,
            seconds));
  }

  /** How long it takes to send this much, by the last pass that told. */
  long estimateNs(final long bytes) {
    return (long) (bytes / rate * 1e9);
  }

  /** What the last pass that told has sent in a second. */
  long bytesPerSecond() {
    return (long) rate;
  }

  int passCount() {
    return passCount;
  }

  long sentBytes() {
    return sentBytes;
  }

  long zeroBytes() {
    return zeroBytes;
  }

  long skippedBytes() {
    return skippedBytes;
  }

  long duplicateBytes() {
    return duplicateBytes;
  }

  long elapsedNs() {
    return clockNs.getAsLong() - startedNs;
  }
}

package io.virtnvme.tools.migrate;

import static org.junit.jupiter.api.Assertions.assertEquals;

import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.Test;

/** How long the rest takes, by a clock that the test turns. */
class ProgressTest {
  private static final long MIB = 1 << 20;

  private long nowNs = 1_000_000_000_000L;
  private final Progress progress = new Progress(line -> {}, () -> nowNs);

  private void after(final long milliseconds, final long bytes, final boolean isSent) {
    nowNs += TimeUnit.MILLISECONDS.toNanos(milliseconds);
    if (isSent) {
      progress.onSent(bytes);
    }
    progress.onDone(bytes, isSent);
  }

  @Test
  void shouldJudgeByTheTimeOfWhatWasSentAlone() {
    progress.beginPass(1000 * MIB);
    after(5000, 500 * MIB, false);
    after(30, 3 * MIB, true);
    after(5000, 497 * MIB, false);
    after(10, MIB, true);
    // What is on its way when the last of it was read.
    nowNs += TimeUnit.MILLISECONDS.toNanos(40);
    progress.endPass();
    assertEquals(50 * MIB, progress.bytesPerSecond());
    assertEquals(TimeUnit.MILLISECONDS.toNanos(200), progress.estimateNs(10 * MIB));
  }

  @Test
  void shouldLearnNothingFromAPassThatSentNextToNothing() {
    progress.beginPass(8 * MIB);
    after(80, 8 * MIB, true);
    progress.endPass();
    progress.beginPass(MIB);
    after(1000, 65536, true);
    progress.endPass();
    assertEquals(100 * MIB, progress.bytesPerSecond());
  }
}

package io.virtnvme.tools.bench;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.virtnvme.tools.page.Screenshot;
import io.virtnvme.tools.pair.FrontEnd;
import io.virtnvme.tools.pair.PairSettings;
import java.awt.image.BufferedImage;
import java.io.IOException;
import java.nio.file.Path;
import java.util.List;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

/** The page of a benchmark that never was: opened in a browser, it shows the bars. */
@Timeout(value = 3, unit = TimeUnit.MINUTES)
class BenchPageTest {
  private static final int WIDTH = 1100;
  private static final int HEIGHT = 1800;
  private static final int ROUNDS = 3;

  @TempDir private Path folder;

  private static BenchReport report() {
    final BenchReport report =
        new BenchReport(
            new BenchSettings(
                FrontEnd.BLK,
                null,
                PairSettings.Kind.MEM,
                null,
                64,
                List.of(Work.values()),
                List.of(1, 32),
                0,
                2,
                ROUNDS,
                0,
                false,
                true,
                List.of(true),
                List.of(),
                true,
                0,
                1),
            "2026-01-01T00:00:00Z",
            "virtnvme bench --socket <peer>");
    for (final Work work : List.of(Work.values()).subList(0, 2)) {
      for (final int queueDepth : List.of(1, 32)) {
        add(report, work, queueDepth, "virtnvme mem", 1_000_000.0 * queueDepth);
        add(report, work, queueDepth, "<peer>", 400_000.0 * queueDepth);
      }
    }
    return report;
  }

  private static void add(
      final BenchReport report,
      final Work work,
      final int queueDepth,
      final String subject,
      final double iops) {
    final Measurement measurement =
        new Measurement(work, queueDepth, new Subject(subject, null, List.of()));
    for (int i = 0; i < ROUNDS; i++) {
      measurement.add(
          new RunResult(null, iops * (1 + i / 10.0), 1.5, 1, 10, 100, 1000, 0.9, 1, 60, false));
    }
    report.add(measurement);
  }

  @Test
  void shouldBeCompleteInItself() {
    final String page = BenchPage.render(report().toJson());
    assertTrue(page.contains("&lt;peer&gt;") && !page.contains("<peer>"));
    assertFalse(page.contains("http:") || page.contains("https:") || page.contains("src="));
    assertTrue(page.contains("1,100,000"), "the median");
    assertTrue(page.contains("1,000,000..1,200,000"), "the spread");
    assertTrue(page.contains(">0.40</td>"), "the peer against ours");
    assertFalse(page.contains("cut short"));
    assertEquals(8, page.split("class=\"rate\"", -1).length - 1);
  }

  @Test
  void shouldSayWhyItWasCutShort() {
    final BenchReport report = report();
    report.message("the peer <died>");
    final String page = BenchPage.render(report.toJson());
    assertTrue(page.contains("cut short"));
    assertTrue(page.contains("the peer &lt;died&gt;"));
  }

  @Test
  void shouldShowTheBarsInABrowser() throws IOException, InterruptedException {
    final BufferedImage image =
        Screenshot.take(BenchPage.render(report().toJson()), folder, WIDTH, HEIGHT);
    assertTrue(Screenshot.count(image, 0x2f6fb0) > 5_000, "the bars are to be seen");
  }
}

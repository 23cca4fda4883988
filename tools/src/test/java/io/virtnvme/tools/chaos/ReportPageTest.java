package io.virtnvme.tools.chaos;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.fasterxml.jackson.databind.node.JsonNodeFactory;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.awt.image.BufferedImage;
import java.io.File;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.EnumSet;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.concurrent.TimeUnit;
import javax.imageio.ImageIO;
import org.junit.jupiter.api.Assumptions;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

/** The page from a campaign that never was: opened in a browser, it shows the gaps. */
@Timeout(value = 3, unit = TimeUnit.MINUTES)
class ReportPageTest {
  private static final int GAP_MS = 40;
  private static final int WIDTH = 1100;
  private static final int HEIGHT = 2600;
  private static final int PER_MS = 50;
  private static final List<FaultKind> KINDS =
      List.of(FaultKind.NOTHING, FaultKind.SLAVE, FaultKind.SLAVE_AGAIN);

  @TempDir private Path folder;

  private static CampaignReport campaign(final String message) {
    final Random random = new Random(1);
    final List<FaultResult> faults = new ArrayList<>();
    for (int i = 0; i < 9; i++) {
      final FaultKind kind = KINDS.get(i % KINDS.size());
      final int gapMs = kind == FaultKind.NOTHING ? 0 : GAP_MS + i;
      final List<Integer> counts = new ArrayList<>();
      for (int ms = -FaultResult.BEFORE_MS; ms < FaultResult.AFTER_MS; ms++) {
        counts.add(ms >= 0 && ms < gapMs ? 0 : PER_MS + random.nextInt(10));
      }
      final FaultResult.Felt felt = new FaultResult.Felt(gapMs, counts);
      faults.add(
          new FaultResult(
              kind, i + 1, i * 1000L, Map.of(DiskGroup.MEMORY, felt, DiskGroup.FILE, felt), ""));
    }
    final ObjectNode client =
        JsonNodeFactory.instance
            .objectNode()
            .put("ios", 1234567)
            .put("errors", message.isEmpty() ? 0 : 1)
            .put("sound", message.isEmpty())
            .put("message", message);
    return new CampaignReport(
        new ChaosSettings(
            9, 4711, Path.of("/"), EnumSet.allOf(FaultKind.class), 32, 1000, null, 0, 1),
        0,
        9,
        List.of("mem-split"),
        List.of(client),
        faults,
        List.of(50_000L, 48_000L, 51_000L),
        Map.of(FaultKind.SHM_FULL, "no <mount> here"),
        7,
        6,
        17);
  }

  @Test
  void shouldBeCompleteInItself() {
    final String page = ReportPage.render(campaign("").toJson());
    assertTrue(page.contains("nothing lost"));
    assertTrue(page.contains("1,234,567"));
    assertTrue(page.contains("seed 4711"));
    assertTrue(page.contains("not done here: no &lt;mount&gt; here"));
    assertFalse(page.contains("http:") || page.contains("https:") || page.contains("src="));
    for (final FaultKind kind : FaultKind.values()) {
      assertTrue(page.contains(kind.label()), kind.label());
    }
    // Two groups of disks, the median and the worst of three kinds.
    assertEquals(12, page.split("class=\"gap\"", -1).length - 1);
  }

  @Test
  void shouldNotCallACampaignSoundThatFoundAFault() {
    final String page = ReportPage.render(campaign("block 7 <b> is wrong").toJson());
    assertTrue(page.contains("FAULTS FOUND"));
    assertFalse(page.contains("nothing lost"));
    assertTrue(page.contains("block 7 &lt;b&gt; is wrong"));
  }

  @Test
  void shouldShowTheGapsInABrowser() throws IOException, InterruptedException {
    final Path browser = browser();
    Assumptions.assumeTrue(browser != null, "no Chromium on this machine");
    final Path page = folder.resolve("report.html");
    Files.writeString(page, ReportPage.render(campaign("").toJson()));
    final File picture = folder.resolve("report.png").toFile();
    final Process process =
        new ProcessBuilder(
                browser.toString(),
                "--headless=new",
                "--no-sandbox",
                "--disable-gpu",
                "--hide-scrollbars",
                "--user-data-dir=" + folder.resolve("profile"),
                "--window-size=" + WIDTH + "," + HEIGHT,
                "--screenshot=" + picture,
                page.toUri().toString())
            .redirectErrorStream(true)
            .redirectOutput(folder.resolve("browser.log").toFile())
            .start();
    try {
      assertTrue(process.waitFor(2, TimeUnit.MINUTES), "the browser does not end");
    } finally {
      process.destroyForcibly();
    }
    assertTrue(picture.exists(), Files.readString(folder.resolve("browser.log")));
    final BufferedImage image = ImageIO.read(picture);
    assertEquals(WIDTH, image.getWidth());
    assertTrue(count(image, 0x2f6fb0) > 20_000, "the flow of requests is to be seen");
    // White with 15 % of the gap's colour.
    assertTrue(count(image, 0xf9e3e3) > 10_000, "the gaps are to be seen");
    assertTrue(count(image, 0x1e7f4f) > 500, "the verdict is to be seen");
  }

  private static Path browser() {
    for (final String name : List.of("chromium", "chromium-browser", "google-chrome")) {
      final Path path = Path.of("/usr/bin").resolve(name);
      if (Files.isExecutable(path)) {
        return path;
      }
    }
    return null;
  }

  /** Pixels of nearly this colour. */
  private static int count(final BufferedImage image, final int rgb) {
    int count = 0;
    for (int y = 0; y < image.getHeight(); y++) {
      for (int x = 0; x < image.getWidth(); x++) {
        final int pixel = image.getRGB(x, y);
        if (distance(pixel, rgb, 16) + distance(pixel, rgb, 8) + distance(pixel, rgb, 0) <= 6) {
          count++;
        }
      }
    }
    return count;
  }

  private static int distance(final int a, final int b, final int shift) {
    return Math.abs((a >> shift & 0xff) - (b >> shift & 0xff));
  }
}

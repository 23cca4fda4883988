package io.virtnvme.tools.chaos;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.JsonNodeFactory;
import com.fasterxml.jackson.databind.node.ObjectNode;
import io.virtnvme.tools.page.Screenshot;
import java.awt.image.BufferedImage;
import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.EnumSet;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

/** The page from a campaign that never was: opened in a browser, it shows the gaps. */
@Timeout(value = 3, unit = TimeUnit.MINUTES)
class ReportPageTest {
  private static final int KILLED_PID = 77;
  private static final int GAP_MS = 40;
  private static final int WIDTH = 1100;
  private static final int HEIGHT = 2600;
  private static final int PER_MS = 50;
  private static final List<FaultKind> KINDS =
      List.of(FaultKind.NOTHING, FaultKind.SLAVE, FaultKind.SLAVE_AGAIN);

  @TempDir private Path folder;

  private static ArrayNode recoveryOf(final int pid) {
    final ArrayNode recoveries = JsonNodeFactory.instance.arrayNode();
    recoveries
        .addObject()
        .put("number", 1)
        .put("dead_pid", pid)
        .put("successor_pid", pid + 1)
        .put("cause", "died");
    return recoveries;
  }

  private static CampaignReport campaign(final String message) {
    return campaign(message, recoveryOf(KILLED_PID));
  }

  private static CampaignReport campaign(final String message, final ArrayNode recoveries) {
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
    final Takeovers takeovers = new Takeovers();
    takeovers.expect(KILLED_PID);
    takeovers.add(recoveries);
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
        takeovers);
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
  void shouldNotCallACampaignSoundThatSawAFalseTakeover() {
    final String page = ReportPage.render(campaign("", recoveryOf(KILLED_PID + 1)).toJson());
    assertTrue(page.contains("FAULTS FOUND"));
    assertTrue(page.contains("process 78, which no fault had ended"));
  }

  @Test
  void shouldShowTheGapsInABrowser() throws IOException, InterruptedException {
    final BufferedImage image =
        Screenshot.take(ReportPage.render(campaign("").toJson()), folder, WIDTH, HEIGHT);
    assertEquals(WIDTH, image.getWidth());
    assertTrue(Screenshot.count(image, 0x2f6fb0) > 20_000, "the flow of requests is to be seen");
    // White with 15 % of the gap's colour.
    assertTrue(Screenshot.count(image, 0xf9e3e3) > 10_000, "the gaps are to be seen");
    assertTrue(Screenshot.count(image, 0x1e7f4f) > 500, "the verdict is to be seen");
  }
}

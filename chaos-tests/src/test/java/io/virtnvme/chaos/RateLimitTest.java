package io.virtnvme.chaos;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.fasterxml.jackson.databind.JsonNode;
import io.virtnvme.tools.pair.FrontEnd;
import java.time.Duration;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.extension.RegisterExtension;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

/** A limit holds over the death of a slave and of the master, and its guest loses nothing. */
@Tag("once")
class RateLimitTest {
  private static final int REQUESTS_PER_SECOND = 2000;
  private static final long MEASURE_NS = 2_000_000_000L;

  /** What a disk may catch up on, and what is under way when the clock is read. */
  private static final int SLACK = 200;

  @RegisterExtension private final Pairs pairs = new Pairs();

  @ParameterizedTest
  @EnumSource(FrontEnd.class)
  void shouldKeepALimitOverTakeoverAndRestart(final FrontEnd frontEnd) {
    final Pair pair = pairs.start(PairOptions.ofFirstCompiler().withStandbys(1));
    pair.createMemDisk("disk", LoadOptions.BLOCK_COUNT);
    LoadOptions options = LoadOptions.usual(pairs.seed());
    if (frontEnd == FrontEnd.NVME) {
      pair.createNvmeController("vm", true, "disk");
      options = options.onNvme();
    } else {
      pair.createController("vm", "disk", false);
    }
    final int slave = pair.activePidWithStandbys(1, 0);
    final LoadProcess load = pairs.load(pair, "vm", options);
    load.awaitIos(20L * REQUESTS_PER_SECOND);
    pair.call("bdev_set_qos_limit", Json.of("name", "disk", "rw_ios_per_sec", REQUESTS_PER_SECOND));
    assertLimited(load, "the owner");

    Victim.kill(slave);
    pair.activePidWithStandbys(0, slave);
    assertLimited(load, "its successor");

    pair.killMaster();
    pair.startMaster();
    assertLimited(load, "under the next master");
    final JsonNode disk = pair.call("bdev_get_bdevs", Json.of("name", "disk")).path(0);
    assertEquals(
        REQUESTS_PER_SECOND, disk.path("assigned_rate_limits").path("rw_ios_per_sec").asInt());

    final long before = load.progress().ios();
    pair.call("bdev_set_qos_limit", Json.of("name", "disk", "rw_ios_per_sec", 0));
    load.awaitIos(20L * REQUESTS_PER_SECOND);
    assertTrue(load.progress().ios() > before);
    load.finish();
  }

  /** By what the guest saw completed: never more than allowed, and not next to nothing. */
  private static void assertLimited(final LoadProcess load, final String who) {
    load.awaitIos(SLACK);
    final long beforeNs = System.nanoTime();
    final long before = load.progress().ios();
    Waiting.until(
        "the time to count in is over",
        Duration.ofSeconds(60),
        () -> System.nanoTime() - beforeNs >= MEASURE_NS);
    final long count = load.progress().ios() - before;
    final double allowed =
        REQUESTS_PER_SECOND * (System.nanoTime() - beforeNs) / 1_000_000_000.0 + SLACK;
    assertTrue(count <= allowed, who + ": count=" + count + " allowed=" + allowed);
    assertTrue(count >= allowed / 4, who + ": count=" + count + " allowed=" + allowed);
  }
}

package io.virtnvme.chaos;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.fasterxml.jackson.databind.JsonNode;
import io.virtnvme.tools.chaos.Killer;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.RegisterExtension;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** P1: the slave is killed at random instants, and the load on its disk does not notice. */
class SlaveKillTest {
  private static final int KILLS = 10;
  private static final int MORE_KILLS_MAX = 10;
  private static final int COLD_KILLS = 3;
  private static final int DELAY_MS_MAX = 50;
  private static final long BUSY_NS_MAX = 250_000;
  private static final long FULL_AFTER_NS = 5_000_000;

  @RegisterExtension private final Pairs pairs = new Pairs();

  private Pair startWithLoad(final int standbyCount, final String bdev, final boolean packed) {
    final Pair pair = pairs.start(PairOptions.usual().withStandbys(standbyCount));
    if (bdev.equals("mem")) {
      pair.createMemDisk("disk", LoadOptions.BLOCK_COUNT);
    } else {
      pair.createFileDisk("disk", LoadOptions.BLOCK_COUNT);
    }
    pair.createController("vm", "disk", packed);
    return pair;
  }

  private void killAtRandomInstant(final int pid) {
    final long delayNs = TimeUnit.MILLISECONDS.toNanos(DELAY_MS_MAX);
    Killer.kill(pid, PairOptions.slaveCore(), (long) (pairs.random().nextDouble() * delayNs));
  }

  private void killWhileBusy(final Pair pair, final LoadProcess load, final int pid) {
    pair.killAtWork(
        pid,
        () ->
            Waiting.until(
                "the rings are full",
                RawFrontEnd.LIMIT,
                () -> System.nanoTime() - load.progress().lastCompletionNs() > FULL_AFTER_NS),
        (long) (pairs.random().nextDouble() * BUSY_NS_MAX));
  }

  @ParameterizedTest
  @CsvSource({"mem,false", "mem,true", "uring,false", "uring,true"})
  void shouldNeitherLoseNorRepeatRequestsWhenTheSlaveIsKilled(
      final String bdev, final boolean packed) {
    final Pair pair = startWithLoad(1, bdev, packed);
    int active = pair.activePidWithStandbys(1, 0);
    final LoadProcess load =
        pairs.load(pair, "vm", LoadOptions.usual(pairs.seed()).withPacked(packed));
    final List<Integer> killed = new ArrayList<>();
    for (int i = 0; i < KILLS / 2; i++) {
      // The second kill finds no warm standby, perhaps one that is warming up.
      killWhileBusy(pair, load, active);
      killed.add(active);
      load.awaitIos(2000);
      active = pair.activePidWithStandbys(0, active);
      killAtRandomInstant(active);
      killed.add(active);
      load.awaitIos(2000);
      active = load.awaitStandbys(pair, 1, active);
    }
    for (int i = 0; i < MORE_KILLS_MAX && resubmitted(pair) == 0; i++) {
      killWhileBusy(pair, load, active);
      killed.add(active);
      load.awaitIos(2000);
      active = load.awaitStandbys(pair, 1, active);
    }
    load.check();
    assertTrue(resubmitted(pair) > 0, "no kill hit a request in flight, so nothing was tested");
    final JsonNode result = load.finish();
    assertEquals(0, result.path("errors").asLong(), result::toString);
    assertEquals(LoadOptions.BLOCK_COUNT, result.path("readBackBlocks").asLong());
    assertEquals(0, result.path("reconnects").asLong(), "the connection must survive");
    checkRecoveries(pair.recoveries(), killed);
    for (int i = 0; i < KILLS; i += 2) {
      assertTrue(pair.recoveries().path(i).path("warm").asBoolean(), "takeover " + i);
    }
    checkCounts(pair, result);
  }

  @ParameterizedTest
  @CsvSource({"mem", "uring"})
  void shouldGoOnAfterAColdStartWhenThereIsNoStandby(final String bdev) {
    final Pair pair = startWithLoad(0, bdev, false);
    final LoadProcess load = pairs.load(pair, "vm", LoadOptions.usual(pairs.seed()));
    final List<Integer> killed = new ArrayList<>();
    int active = pair.activePid();
    for (int i = 0; i < COLD_KILLS; i++) {
      killWhileBusy(pair, load, active);
      killed.add(active);
      load.awaitIos(2000);
      active = pair.activePidWithStandbys(0, active);
    }
    final JsonNode result = load.finish();
    assertEquals(0, result.path("errors").asLong(), result::toString);
    checkRecoveries(pair.recoveries(), killed);
    checkCounts(pair, result);
  }

  @Test
  void shouldServeEveryDiskOfEveryVmAfterAKill() {
    final Pair pair = pairs.start(PairOptions.usual());
    final List<RawGuest> guests = new ArrayList<>();
    pair.createMemDisk("mem", LoadOptions.BLOCK_COUNT);
    pair.createController("busy", "mem", false);
    for (int i = 0; i < 4; i++) {
      pair.createMemDisk("small" + i, 256);
      pair.createController("vm" + i, "small" + i, i % 2 == 1);
      guests.add(pairs.add(RawGuest.running(pair.socket("vm" + i), i % 2 == 1)));
    }
    final LoadProcess load = pairs.load(pair, "busy", LoadOptions.usual(pairs.seed()));
    int active = pair.activePidWithStandbys(1, 0);
    for (int i = 0; i < 3; i++) {
      killAtRandomInstant(active);
      for (final RawGuest guest : guests) {
        assertEquals(0, guest.transfer(1, 8, 4096, false));
        assertEquals(0, guest.transfer(0, 8, 4096, true));
      }
      load.awaitIos(1000);
      active = load.awaitStandbys(pair, 1, active);
    }
    load.finish();
  }

  private static void checkRecoveries(final JsonNode recoveries, final List<Integer> killed) {
    final List<Integer> dead = new ArrayList<>();
    for (final JsonNode recovery : recoveries) {
      dead.add(recovery.path("dead_pid").asInt());
      assertEquals("died", recovery.path("cause").asText(), recovery::toString);
      assertEquals(1, recovery.path("sessions").asInt(), recovery::toString);
      assertEquals(2, recovery.path("queues").asInt(), recovery::toString);
      for (final String phase : List.of("replay_us", "first_completion_us", "total_us")) {
        assertTrue(recovery.path(phase).asLong(-1) >= 0, phase + " in " + recovery);
      }
    }
    assertEquals(killed, dead, "dead_pid of the recoveries, in order");
  }

  private static long resubmitted(final Pair pair) {
    long count = 0;
    for (final JsonNode recovery : pair.recoveries()) {
      count += recovery.path("resubmitted").asLong();
    }
    return count;
  }

  /**
   * What the slaves counted is what the load saw: a request that was carried out again after a kill
   * is counted once, with its completion.
   */
  private static void checkCounts(final Pair pair, final JsonNode result) {
    final JsonNode counts =
        pair.call("bdev_get_iostat", Json.of("name", "disk")).path("bdevs").path(0);
    final long counted =
        counts.path("num_read_ops").asLong()
            + counts.path("num_write_ops").asLong()
            + counts.path("num_flush_ops").asLong();
    final long seen = result.path("ios").asLong();
    assertEquals(0, counts.path("io_error").path("failed").asLong(), counts::toString);
    // A slave that dies between completing a batch and counting it loses at most that batch.
    final long slack = 64L * KILLS;
    assertTrue(
        Math.abs(counted - seen) <= slack, "counted=" + counted + " seen=" + seen + " " + counts);
  }
}

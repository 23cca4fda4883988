package io.virtnvme.chaos;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.fasterxml.jackson.databind.JsonNode;
import io.virtnvme.ipc.nvme.client.NvmeClient;
import io.virtnvme.ipc.nvme.client.NvmeClientConfig;
import io.virtnvme.tools.chaos.Killer;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.RegisterExtension;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/**
 * P1 for NVMe: the slave is killed at random instants, and the load on its queues does not notice.
 */
class NvmeSlaveKillTest {
  private static final int KILLS = 6;
  private static final int MORE_KILLS_MAX = 10;
  private static final int DELAY_MS_MAX = 50;
  private static final long BUSY_NS_MAX = 250_000;
  private static final long FULL_AFTER_NS = 5_000_000;

  @RegisterExtension private final Pairs pairs = new Pairs();

  private Pair start(final int standbyCount, final String bdev, final boolean mappable) {
    final Pair pair = pairs.start(PairOptions.usual().withStandbys(standbyCount));
    if (bdev.equals("mem")) {
      pair.createMemDisk("disk", LoadOptions.BLOCK_COUNT);
    } else {
      pair.createFileDisk("disk", LoadOptions.BLOCK_COUNT);
    }
    pair.createNvmeController("vm", mappable, "disk");
    return pair;
  }

  private LoadProcess load(final Pair pair) {
    return pairs.load(pair, "vm", LoadOptions.usual(pairs.seed()).onNvme());
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
                "the queues are full",
                RawFrontEnd.LIMIT,
                () -> System.nanoTime() - load.progress().lastCompletionNs() > FULL_AFTER_NS),
        (long) (pairs.random().nextDouble() * BUSY_NS_MAX));
  }

  private static long resubmitted(final Pair pair) {
    long count = 0;
    for (final JsonNode recovery : pair.recoveries()) {
      count += recovery.path("resubmitted").asLong();
    }
    return count;
  }

  @ParameterizedTest
  @CsvSource({"mem,true", "mem,false", "uring,true"})
  void shouldNeitherLoseNorRepeatCommandsWhenTheSlaveIsKilled(
      final String bdev, final boolean mappable) {
    final Pair pair = start(1, bdev, mappable);
    int active = pair.activePidWithStandbys(1, 0);
    final LoadProcess load = load(pair);
    for (int i = 0; i < KILLS / 2; i++) {
      killWhileBusy(pair, load, active);
      load.awaitIos(2000);
      // This one finds no warm standby, perhaps one that is warming up.
      active = pair.activePidWithStandbys(0, active);
      killAtRandomInstant(active);
      load.awaitIos(2000);
      active = load.awaitStandbys(pair, 1, active);
    }
    // Doorbells that come as messages bring the slave so little at a time that it has it done at
    // once.
    for (int i = 0; i < MORE_KILLS_MAX && mappable && resubmitted(pair) == 0; i++) {
      killWhileBusy(pair, load, active);
      load.awaitIos(2000);
      active = load.awaitStandbys(pair, 1, active);
    }
    load.check();
    assertTrue(
        !mappable || resubmitted(pair) > 0,
        "no kill hit a command in flight, so nothing was tested");
    final JsonNode result = load.finish();
    assertEquals(0, result.path("errors").asLong(), result::toString);
    assertEquals(LoadOptions.BLOCK_COUNT, result.path("readBackBlocks").asLong());
  }

  @Test
  void shouldGoOnAfterAColdStartWhenThereIsNoStandby() {
    final Pair pair = start(0, "mem", true);
    final LoadProcess load = load(pair);
    int active = pair.activePid();
    for (int i = 0; i < 3; i++) {
      killWhileBusy(pair, load, active);
      load.awaitIos(2000);
      active = pair.activePidWithStandbys(0, active);
    }
    assertEquals(0, load.finish().path("errors").asLong());
  }

  /** The controller is set up by messages and admin commands; a slave may die between any two. */
  @Test
  void shouldSetUpControllersWhileSlavesAreKilled() {
    final Pair pair = start(1, "mem", true);
    int active = pair.activePidWithStandbys(1, 0);
    for (int i = 0; i < 4; i++) {
      final int victim = active;
      final long delayNs = (long) (pairs.random().nextDouble() * TimeUnit.MILLISECONDS.toNanos(20));
      final Thread killer =
          new Thread(() -> Killer.kill(victim, PairOptions.slaveCore(), delayNs), "killer");
      killer.start();
      try (NvmeClient client =
          NvmeClient.connect(
              new NvmeClientConfig()
                  .socketPath(pair.nvmeSocket("vm"))
                  .queueCount(8)
                  .timeoutMs(60_000))) {
        assertEquals((long) LoadOptions.BLOCK_COUNT * 4096, client.capacityBytes());
        client.transport().reset();
      }
      join(killer);
      active = pair.activePidWithStandbys(1, victim);
    }
  }

  private static void join(final Thread thread) {
    try {
      thread.join(TimeUnit.SECONDS.toMillis(30));
    } catch (final InterruptedException e) {
      Thread.currentThread().interrupt();
      throw new AssertionError(e);
    }
  }

  /** Each connection is a controller of its own, as new as the one before it was. */
  @Test
  void shouldGiveEachConnectionAFreshController() {
    final Pair pair = start(0, "mem", true);
    final List<Integer> statuses = new ArrayList<>();
    for (int i = 0; i < 3; i++) {
      try (NvmeClient client =
          NvmeClient.connect(new NvmeClientConfig().socketPath(pair.nvmeSocket("vm")))) {
        statuses.add(client.controllerStatus());
      }
    }
    assertEquals(List.of(1, 1, 1), statuses);
    Waiting.until(
        "the last controller is gone",
        RawFrontEnd.LIMIT,
        () ->
            pair.call("nvmf_subsystem_get_controllers", Json.of("nqn", Pair.nqn("vm"))).isEmpty());
  }
}

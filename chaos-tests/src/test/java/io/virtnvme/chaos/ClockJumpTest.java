package io.virtnvme.chaos;

import static org.junit.jupiter.api.Assertions.assertEquals;

import com.fasterxml.jackson.databind.JsonNode;
import java.util.ArrayList;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Set;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.RegisterExtension;

/** A time of day that jumps by years, back and forth, changes nothing but the dates of entries. */
@Tag("once")
class ClockJumpTest {
  private static final int KILLS = 3;

  @RegisterExtension private final Pairs pairs = new Pairs();

  @Test
  void shouldServeAndTakeOverAndRememberInOrderWhileTheTimeOfDayJumps() {
    final Pair pair = pairs.start(PairOptions.ofFirstCompiler().withMain(JumpyMaster.class));
    pair.createMemDisk("disk", LoadOptions.BLOCK_COUNT);
    pair.createController("vm", "disk", false);
    int slave = pair.activePidWithStandbys(1, 0);
    final LoadProcess load = pairs.load(pair, "vm", LoadOptions.usual(pairs.seed()));
    final List<Integer> killed = new ArrayList<>();
    // Each once: a new master tells of the last takeover before it, too.
    final Set<Integer> recovered = new LinkedHashSet<>();
    for (int i = 0; i < KILLS; i++) {
      // Made, deleted and made again: only the order of the entries says that the last one is.
      pair.createMemDisk("again", 16 + i);
      if (i < KILLS - 1) {
        pair.call("bdev_malloc_delete", Json.of("name", "again"));
      }
      killed.add(slave);
      Victim.kill(slave);
      load.awaitIos(2000);
      slave = load.awaitStandbys(pair, 1, slave);
      pair.recoveries().forEach(recovery -> recovered.add(recovery.path("dead_pid").asInt()));
      pair.killMaster();
      load.awaitIos(2000);
      pair.startMaster();
      assertEquals(slave, pair.activePidWithStandbys(1, 0), "a new master adopts");
    }
    assertEquals(
        killed, List.copyOf(recovered), "the slaves that were killed were replaced, and no other");
    final JsonNode disks = pair.call("bdev_get_bdevs", Json.of("name", "again"));
    assertEquals(16 + KILLS - 1, disks.path(0).path("num_blocks").asInt(), disks::toString);
    load.finish();
  }
}

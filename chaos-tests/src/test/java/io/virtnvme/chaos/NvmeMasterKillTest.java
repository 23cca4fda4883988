package io.virtnvme.chaos;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.fasterxml.jackson.databind.JsonNode;
import java.util.List;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.RegisterExtension;

/** P2 for NVMe: the master is killed; guests do not notice, and a new master takes over. */
@Tag("once")
class NvmeMasterKillTest {
  @RegisterExtension private final Pairs pairs = new Pairs();

  private Pair start(final PairOptions options) {
    final Pair pair = pairs.start(options);
    pair.createMemDisk("disk", LoadOptions.BLOCK_COUNT);
    pair.createNvmeController("vm", true, "disk");
    return pair;
  }

  private LoadProcess load(final Pair pair) {
    return pairs.load(pair, "vm", LoadOptions.usual(pairs.seed()).onNvme());
  }

  private static JsonNode controllers(final Pair pair) {
    return pair.call("nvmf_subsystem_get_controllers", Json.of("nqn", Pair.nqn("vm")));
  }

  @Test
  void shouldGoOnWithoutAMasterAndBeAdoptedByTheNext() {
    final Pair pair = start(PairOptions.usual());
    final int slave = pair.activePidWithStandbys(1, 0);
    final LoadProcess load = load(pair);
    final JsonNode before = pair.call("nvmf_get_subsystems");

    pair.killMaster();
    load.awaitIos(20_000);
    pair.startMaster();

    assertEquals(slave, pair.activePid(), "the slave goes on");
    assertEquals(before, pair.call("nvmf_get_subsystems"), "the registry has everything");
    assertEquals(1, controllers(pair).size());
    assertEquals(1, pair.counter("sessions_adopted"));
    load.awaitStandbys(pair, 1, 0);
    Victim.kill(slave);
    load.awaitIos(5000);
    final JsonNode result = load.finish();
    assertEquals(0, result.path("errors").asLong(), result::toString);
  }

  @Test
  void shouldTellAnAdoptedControllerOfNamespacesThatChange() {
    final Pair pair = start(PairOptions.usual());
    pair.activePidWithStandbys(1, 0);
    final LoadProcess load = load(pair);
    pair.killMaster();
    pair.startMaster();
    pair.createMemDisk("more", 256);
    assertEquals(
        2,
        pair.call(
                "nvmf_subsystem_add_ns",
                Json.of("nqn", Pair.nqn("vm"), "namespace", Json.of("bdev_name", "more")))
            .asInt());
    load.awaitIos(2000);
    pair.call("nvmf_subsystem_remove_ns", Json.of("nqn", Pair.nqn("vm"), "nsid", 2));
    pair.call("bdev_malloc_delete", Json.of("name", "more"));
    load.awaitIos(2000);
    assertEquals(0, load.finish().path("errors").asLong());
  }

  @Test
  void shouldRecoverWhenMasterAndSlaveAreKilledTogether() {
    final Pair pair = start(PairOptions.usual());
    final LoadProcess load = load(pair);
    for (int i = 0; i < 2; i++) {
      final int slave = load.awaitStandbys(pair, 1, 0);
      pair.killTogether(List.of(pair.masterPid(), slave));
      pair.startMaster();
      load.awaitIos(5000);
    }
    final JsonNode result = load.finish();
    assertEquals(0, result.path("errors").asLong(), result::toString);
    assertTrue(pair.isMasterAlive());
  }
}

package io.virtnvme.chaos;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.fasterxml.jackson.databind.JsonNode;
import java.util.List;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.RegisterExtension;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** P2: the master is killed; guests do not notice, and a new master takes over what runs. */
class MasterKillTest {
  @RegisterExtension private final Pairs pairs = new Pairs();

  private Pair pairWithDisk(final PairOptions options) {
    final Pair pair = pairs.start(options);
    pair.createMemDisk("disk", LoadOptions.BLOCK_COUNT);
    pair.createController("vm", "disk", false);
    return pair;
  }

  @Test
  void shouldGoOnWithoutAMasterAndBeAdoptedByTheNext() {
    final Pair pair = pairWithDisk(PairOptions.usual());
    final int slave = pair.activePidWithStandbys(1, 0);
    final List<Integer> slavesBefore = pair.slaves().stream().map(SlaveView::pid).sorted().toList();
    final LoadProcess load = pairs.load(pair, "vm", LoadOptions.usual(pairs.seed()));

    pair.killMaster();
    load.awaitIos(20_000);
    pair.startMaster();

    final JsonNode status = pair.call("virtnvme_get_status");
    assertTrue(status.path("master").path("adopted").asBoolean(), status::toPrettyString);
    assertEquals(slave, pair.activePid(), "the slave goes on");
    assertEquals(
        slavesBefore,
        pair.slaves().stream().map(SlaveView::pid).sorted().toList(),
        "slaves and standbys are adopted, none is started");
    final JsonNode sessions =
        pair.call("vhost_get_controllers", Json.of("name", "vm")).path(0).path("sessions");
    assertEquals(1, sessions.size(), sessions::toString);
    assertEquals(1, pair.counter("sessions_adopted"));

    pair.createMemDisk("other", 256);
    pair.createController("other", "other", true);
    try (RawGuest guest = RawGuest.running(pair.socket("other"), true)) {
      assertEquals(0, guest.transfer(1, 0, 4096, false));
    }
    final int successor = killSlaveAndAwaitTakeover(pair, load, slave);
    assertTrue(slavesBefore.contains(successor), "the adopted standby takes over");
    final JsonNode result = load.finish();
    assertEquals(0, result.path("reconnects").asLong(), "the connection must survive");
  }

  private static int killSlaveAndAwaitTakeover(
      final Pair pair, final LoadProcess load, final int slave) {
    load.awaitStandbys(pair, 1, 0);
    Victim.kill(slave);
    load.awaitIos(5000);
    return pair.activePidWithStandbys(0, slave);
  }

  @Test
  void shouldTakeOverADeadSlaveWithoutAMaster() {
    final Pair pair = pairWithDisk(PairOptions.usual());
    final int slave = pair.activePidWithStandbys(1, 0);
    final LoadProcess load = pairs.load(pair, "vm", LoadOptions.usual(pairs.seed()));
    pair.killMaster();
    Victim.kill(slave);
    load.awaitIos(20_000);
    pair.startMaster();
    final int successor = load.awaitStandbys(pair, 1, slave);
    final JsonNode recovery = pair.recoveries().path(0);
    assertEquals(slave, recovery.path("dead_pid").asInt(), recovery::toString);
    assertEquals(successor, recovery.path("successor_pid").asInt(), recovery::toString);
    killSlaveAndAwaitTakeover(pair, load, successor);
    load.finish();
  }

  @ParameterizedTest
  @ValueSource(ints = {0, 1})
  void shouldRecoverWhenMasterAndSlaveAreKilledTogether(final int standbyCount) {
    final Pair pair = pairWithDisk(PairOptions.usual().withStandbys(standbyCount));
    final LoadProcess load = pairs.load(pair, "vm", LoadOptions.usual(pairs.seed()));
    for (int i = 0; i < 2; i++) {
      final int slave = load.awaitStandbys(pair, standbyCount, 0);
      pair.killTogether(List.of(pair.masterPid(), slave));
      pair.startMaster();
      load.awaitIos(5000);
    }
    final JsonNode result = load.finish();
    assertEquals(0, result.path("errors").asLong(), result::toString);
    if (standbyCount > 0) {
      assertEquals(0, result.path("reconnects").asLong(), "the standby keeps the connection");
    }
  }

  /** One master after another, killed at random instants while messages are under way. */
  @Test
  @Tag("once")
  void shouldAnswerEveryMessageOnceWhenMastersAreKilled() {
    final Pair pair = pairWithDisk(PairOptions.ofFirstCompiler());
    pair.activePidWithStandbys(1, 0);
    try (Talker talker = Talker.start(pair.socket("vm"), pairs.seed())) {
      for (int i = 0; i < 4; i++) {
        talker.awaitAnswers(200 + pairs.random().nextInt(800));
        pair.killMaster();
        pair.startMaster();
      }
      talker.awaitAnswers(1000);
      talker.finish();
    }
    assertTrue(pair.isMasterAlive());
  }

  /** The same with slaves: the message goes to the successor, the answer comes once. */
  @Test
  @Tag("once")
  void shouldAnswerEveryMessageOnceWhenSlavesAreKilled() {
    final Pair pair = pairWithDisk(PairOptions.ofFirstCompiler());
    int slave = pair.activePidWithStandbys(1, 0);
    try (Talker talker = Talker.start(pair.socket("vm"), pairs.seed())) {
      for (int i = 0; i < 4; i++) {
        talker.awaitAnswers(200 + pairs.random().nextInt(800));
        Victim.kill(slave);
        talker.awaitAnswers(200);
        slave = pair.activePidWithStandbys(1, slave);
      }
      pair.killTogether(List.of(pair.masterPid(), slave));
      pair.startMaster();
      talker.awaitAnswers(1000);
      talker.finish();
    }
    assertTrue(pair.isMasterAlive());
  }
}

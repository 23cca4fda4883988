package io.virtnvme.chaos;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.fasterxml.jackson.databind.JsonNode;
import io.virtnvme.chaos.OtherInstallation.Edit;
import io.virtnvme.ipc.relay.Build;
import io.virtnvme.ipc.sys.Processes;
import java.util.List;
import java.util.Set;
import java.util.stream.Collectors;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.RegisterExtension;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

/** P5: slaves move to another build and back while a verifying load runs. */
@Tag("once")
class UpgradeTest {
  private static final String SLAVE = "slave/src/main/java/io/virtnvme/slave/";
  private static final String IPC = "virtnvme-ipc/src/main/java/io/virtnvme/ipc/";

  /** A standby warms up beside a load on two cores. */
  private static final List<String> PATIENT = List.of("--warm-limit", "120", "--slaves-only");

  private static final List<String> WITH_MASTER =
      List.of("--warm-limit", "120", "--master-limit", "60");

  private static final Edit MINOR_VERSION =
      new Edit(IPC + "segment/SegmentKind.java", "SEAT(1, 1, 1)", "SEAT(1, 1, 7)");

  @RegisterExtension private final Pairs pairs = new Pairs();

  private Pair pairWithDisk(final PairOptions options, final String bdev) {
    final Pair pair = pairs.start(options);
    if (bdev.equals("mem")) {
      pair.createMemDisk("disk", LoadOptions.BLOCK_COUNT);
    } else {
      pair.createFileDisk("disk", LoadOptions.BLOCK_COUNT);
    }
    pair.createController("vm", "disk", false);
    return pair;
  }

  private OtherInstallation other(final Edit... edits) {
    return pairs.add(OtherInstallation.with(OtherInstallation.VERSION, List.of(edits)));
  }

  private static Set<String> builds(final Pair pair) {
    return pair.call("virtnvme_get_slaves").findValuesAsText("version").stream()
        .collect(Collectors.toSet());
  }

  @ParameterizedTest
  @CsvSource({"mem,1", "uring,1", "mem,0"})
  void shouldMoveToAnotherBuildAndBackUnderLoad(final String bdev, final int standbyCount) {
    final Pair pair = pairWithDisk(PairOptions.ofFirstCompiler().withStandbys(standbyCount), bdev);
    final int first = pair.activePidWithStandbys(standbyCount, 0);
    final LoadProcess load = pairs.load(pair, "vm", LoadOptions.withPauses(pairs.seed()));

    final JsonNode up = Upgrading.run(pair, other(MINOR_VERSION).path(), PATIENT).result();
    final int second = pair.activePidWithStandbys(standbyCount, first);
    assertEquals(OtherInstallation.VERSION, up.path("build").asText());
    assertEquals(Set.of(OtherInstallation.VERSION), builds(pair));
    assertFalse(Processes.isAlive(first), "the slave before has ended");
    assertEquals(first, up.path("moves").path(0).path("from_pid").asInt(), up::toString);
    assertEquals(second, up.path("moves").path(0).path("to_pid").asInt(), up::toString);
    assertTrue(up.path("moves").path(0).path("drained").asBoolean(), up::toString);
    load.awaitIos(2000);

    final OtherInstallation same = pairs.add(OtherInstallation.with(Build.version(), List.of()));
    final JsonNode down = Upgrading.run(pair, same.path(), PATIENT).result();
    assertEquals(Build.version(), down.path("build").asText());
    pair.activePidWithStandbys(standbyCount, second);
    assertEquals(Set.of(Build.version()), builds(pair));
    load.awaitIos(2000);

    final JsonNode result = load.finish();
    assertEquals(0, result.path("errors").asLong(), result::toString);
    assertEquals(0, result.path("reconnects").asLong(), "the connection must survive");
    for (final JsonNode recovery : pair.recoveries()) {
      assertEquals("handover", recovery.path("cause").asText(), recovery::toString);
      assertTrue(recovery.path("warm").asBoolean(), recovery::toString);
    }
    assertEquals(2, pair.recoveries().size());
    assertEquals(2, pair.counter("upgrades"));
    assertEquals(0, pair.counter("slaves_died"));
  }

  @Test
  void shouldMoveSlaveAfterSlaveAndKeepThemApart() {
    final Pair pair = pairWithDisk(PairOptions.ofFirstCompiler().withSlaves(2), "mem");
    pair.activePidWithStandbys(1, 0);
    final LoadProcess load = pairs.load(pair, "vm", LoadOptions.withPauses(pairs.seed()));

    final JsonNode up = Upgrading.run(pair, other(MINOR_VERSION).path(), PATIENT).result();

    assertEquals(2, up.path("moves").size(), up::toString);
    pair.activePidWithStandbys(1, 0);
    final List<SlaveView> active =
        pair.slaves().stream().filter(slave -> slave.is("active")).toList();
    assertEquals(Set.of(0, 1), active.stream().map(SlaveView::seat).collect(Collectors.toSet()));
    assertNotEquals(active.get(0).pid(), active.get(1).pid(), "each seat has a process of its own");
    assertEquals(Set.of(OtherInstallation.VERSION), builds(pair));
    load.finish();
  }

  /** The kinds of build that are found out before anything moves. */
  private OtherInstallation broken(final String how) {
    return switch (how) {
      case "dies" ->
          other(
              new Edit(
                  SLAVE + "SlaveMain.java",
                  "if (arguments.length != 2",
                  "System.exit(3); if (arguments.length != 2"));
      case "cold" ->
          other(
              new Edit(
                  SLAVE + "reactor/WarmUp.java",
                  "final String name = \".warm-up-\" + Processes.currentPid();",
                  "while (segments != null) { java.util.concurrent.locks.LockSupport.park(); }\n"
                      + "final String name = \".warm-up-\" + Processes.currentPid();"));
      case "journal" ->
          other(
              new Edit(
                  SLAVE + "session/SessionRecord.java", "int VERSION = 1;", "int VERSION = 2;"),
              new Edit(SLAVE + "control/SlaveFormats.java", "", ""));
      case "relay" ->
          other(
              new Edit(
                  IPC + "relay/RelayChannel.java", "PROTOCOL_MAJOR = 2;", "PROTOCOL_MAJOR = 3;"),
              new Edit(IPC + "relay/FormatVersions.java", "", ""),
              new Edit(SLAVE + "control/SlaveControl.java", "", ""));
      default -> throw new IllegalArgumentException(how);
    };
  }

  @ParameterizedTest
  @ValueSource(strings = {"dies", "cold", "journal", "relay"})
  void shouldChangeNothingWhenTheOtherBuildCannotTakeOver(final String how) {
    final Pair pair = pairWithDisk(PairOptions.ofFirstCompiler(), "mem");
    final int slave = pair.activePidWithStandbys(1, 0);
    final List<Integer> before = pair.slaves().stream().map(SlaveView::pid).sorted().toList();
    final LoadProcess load = pairs.load(pair, "vm", LoadOptions.withPauses(pairs.seed()));

    final List<String> limit = how.equals("cold") ? List.of("--warm-limit", "5") : WITH_MASTER;
    final Upgrading failed = Upgrading.run(pair, broken(how).path(), limit);

    assertEquals(1, failed.exitCode(), failed::toString);
    assertTrue(failed.errors().contains("nothing was moved"), failed::toString);
    if (how.equals("journal")) {
      assertTrue(failed.errors().contains("session-record 1.0"), failed::toString);
      assertTrue(failed.errors().contains("session-record 2.0"), failed::toString);
    } else if (how.equals("relay")) {
      assertTrue(failed.errors().contains("version 3."), failed::toString);
      assertTrue(failed.errors().contains("master 2."), failed::toString);
    }
    assertEquals(slave, pair.activePid(), "the slave serves on");
    load.awaitIos(2000);
    pair.activePidWithStandbys(1, 0);
    assertEquals(
        before,
        pair.slaves().stream().map(SlaveView::pid).sorted().toList(),
        "the standby is the one from before");
    assertEquals(0, pair.recoveries().size());
    assertEquals(1, pair.counter("upgrades_refused"));
    assertEquals(Set.of(Build.version()), builds(pair));

    Victim.kill(slave);
    pair.activePidWithStandbys(0, slave);
    assertTrue(pair.recoveries().path(0).path("warm").asBoolean(), "the standby is still of use");
    assertEquals(0, load.finish().path("errors").asLong());
  }

  /** A build that checks out and fails when it serves a guest. */
  @ParameterizedTest
  @ValueSource(strings = {"dies", "hangs"})
  void shouldRollBackWhenTheOtherBuildFailsAsItServes(final String how) {
    final Pair pair = pairWithDisk(PairOptions.ofFirstCompiler().withHangLimitMs(1500), "mem");
    final int slave = pair.activePidWithStandbys(1, 0);
    final LoadProcess load = pairs.load(pair, "vm", LoadOptions.withPauses(pairs.seed()));
    final String fault =
        how.equals("dies") ? "Runtime.getRuntime().halt(9);" : "while (seatId >= 0) {}";
    final OtherInstallation broken =
        other(
            MINOR_VERSION,
            new Edit(
                SLAVE + "reactor/SeatTakeover.java",
                "startedNs = System.nanoTime();",
                // Not in the self-check, which plays both sides in one process.
                "if (previousPid != 0 && previousPid != Processes.currentPid()) { "
                    + fault
                    + " }\n startedNs = System.nanoTime();"));

    final Upgrading failed = Upgrading.run(pair, broken.path(), PATIENT);

    assertEquals(1, failed.exitCode(), failed::toString);
    assertTrue(failed.errors().contains("rolled back"), failed::toString);
    assertEquals(Set.of(Build.version()), builds(pair));
    assertNotEquals(slave, pair.activePid(), "the build is the one before, the process is not");
    assertEquals(1, pair.counter("upgrades_rolled_back"));
    pair.activePidWithStandbys(1, 0);
    load.awaitIos(2000);
    final JsonNode result = load.finish();
    assertEquals(0, result.path("errors").asLong(), result::toString);
    assertEquals(0, result.path("reconnects").asLong(), "the connection must survive");
  }

  private static JsonNode masterOf(final Pair pair) {
    return pair.call("virtnvme_get_status").path("master");
  }

  @Test
  void shouldReplaceTheMasterInItsOwnProcessAndBack() {
    final Pair pair = pairWithDisk(PairOptions.ofFirstCompiler(), "mem");
    pair.activePidWithStandbys(1, 0);
    final LoadProcess load = pairs.load(pair, "vm", LoadOptions.withPauses(pairs.seed()));

    final JsonNode up = Upgrading.run(pair, other(MINOR_VERSION).path(), WITH_MASTER).result();
    assertEquals(OtherInstallation.VERSION, up.path("master").asText(), up::toString);
    pair.reconnect();
    assertEquals(pair.masterPid(), masterOf(pair).path("pid").asInt());
    assertEquals(OtherInstallation.VERSION, masterOf(pair).path("version").asText());
    assertTrue(masterOf(pair).path("adopted").asBoolean());
    final int second = pair.activePidWithStandbys(1, 0);
    assertEquals(up.path("moves").path(0).path("to_pid").asInt(), second, "adopted, not replaced");
    load.awaitIos(2000);
    Victim.kill(second);
    pair.activePidWithStandbys(1, second);
    assertEquals(Set.of(OtherInstallation.VERSION), builds(pair), "its slaves are of its build");

    final OtherInstallation same = pairs.add(OtherInstallation.with(Build.version(), List.of()));
    Upgrading.run(pair, same.path(), WITH_MASTER).result();
    pair.reconnect();
    assertEquals(Build.version(), masterOf(pair).path("version").asText());
    pair.activePidWithStandbys(1, 0);
    assertEquals(Set.of(Build.version()), builds(pair));
    load.awaitIos(2000);
    final JsonNode result = load.finish();
    assertEquals(0, result.path("errors").asLong(), result::toString);
    assertEquals(0, result.path("reconnects").asLong(), "the connection must survive");
  }

  /** The slaves of the other build are sound, its master is not. */
  @ParameterizedTest
  @ValueSource(strings = {"dies", "hangs"})
  void shouldBringEverythingBackWhenTheOtherMasterFails(final String how) {
    final Pair pair = pairWithDisk(PairOptions.ofFirstCompiler(), "mem");
    pair.activePidWithStandbys(1, 0);
    final LoadProcess load = pairs.load(pair, "vm", LoadOptions.withPauses(pairs.seed()));
    final String fault =
        how.equals("dies")
            ? "System.exit(4);"
            : "while (spec != null) { java.util.concurrent.locks.LockSupport.park(); }";
    final OtherInstallation broken =
        other(
            MINOR_VERSION,
            new Edit(
                "tools/src/main/java/io/virtnvme/tools/UpCommand.java",
                "if (hangLimitMs < 0",
                fault + " if (hangLimitMs < 0"));
    final List<String> limits =
        how.equals("dies") ? WITH_MASTER : List.of("--warm-limit", "120", "--master-limit", "5");

    final Upgrading failed = Upgrading.run(pair, broken.path(), limits);

    assertEquals(1, failed.exitCode(), failed::toString);
    assertTrue(failed.errors().contains("the master was not upgraded"), failed::toString);
    assertTrue(failed.errors().contains("everything is as before"), failed::toString);
    pair.reconnect();
    assertEquals(pair.masterPid(), masterOf(pair).path("pid").asInt());
    assertEquals(Build.version(), masterOf(pair).path("version").asText());
    pair.activePidWithStandbys(1, 0);
    assertEquals(Set.of(Build.version()), builds(pair));
    load.awaitIos(2000);
    final JsonNode result = load.finish();
    assertEquals(0, result.path("errors").asLong(), result::toString);
    assertEquals(0, result.path("reconnects").asLong(), "the connection must survive");
  }
}

package io.virtnvme.master;

import static io.virtnvme.master.MasterFixture.bdevOf;
import static io.virtnvme.master.MasterFixture.context;
import static io.virtnvme.master.MasterFixture.controller;
import static io.virtnvme.master.MasterFixture.get;
import static io.virtnvme.master.MasterFixture.nullBdev;
import static io.virtnvme.master.MasterFixture.states;
import static org.awaitility.Awaitility.await;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.virtnvme.ipc.memory.Mem;
import io.virtnvme.ipc.relay.RelayMessageType;
import io.virtnvme.ipc.segment.SeatSegment;
import io.virtnvme.master.relay.FrontEndPeer;
import io.virtnvme.master.relay.MasterCounter;
import io.virtnvme.master.rpc.BdevInfo;
import io.virtnvme.master.rpc.RecoveryInfo;
import io.virtnvme.master.rpc.RpcException;
import io.virtnvme.master.rpc.SlaveInfo;
import io.virtnvme.master.supervisor.OsProcessTable;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.concurrent.TimeUnit;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class MasterFaultTest extends MasterRig {
  private MasterContext realProcesses(final String... command) {
    return context(runDirectory, processes)
        .processes(new OsProcessTable())
        .slaveCommand(List.of(command))
        .restartDelayNs(1_000_000, 8_000_000);
  }

  @Test
  void shouldGiveUpASeatWhoseSlavesDieAtOnceUntilAnOperatorStartsOne() throws IOException {
    master = Master.launch(realProcesses("/bin/false"));
    await().until(() -> states(master.controlPlane()).equals(List.of(SlaveInfo.State.FAILED)));
    final SlaveInfo failed = master.controlPlane().slaves().get(0);
    assertEquals(0, failed.seat());
    assertEquals(0, failed.pid());
    assertTrue(failed.reason().contains("virtnvme_start_slave"), failed.reason());
    assertEquals(5, master.counters().get(MasterCounter.SLAVES_STARTED));
    assertEquals(1, master.counters().get(MasterCounter.SEATS_FAILED));

    get(master.controlPlane().createBdev(nullBdev("n0")));
    get(master.controlPlane().createBlkController(controller("c0", "n0")));
    final BdevInfo bdev = bdevOf(master.controlPlane(), "n0");
    assertEquals(BdevInfo.State.FAILED, bdev.state());
    try (FrontEndPeer guest = FrontEndPeer.connect(runDirectory.resolve("vhost").resolve("c0"))) {
      guest.send(FrontEndPeer.message(1));
      assertTrue(guest.isSilent(50), "it waits");
    }
    get(master.controlPlane().startSlave(0));
    await().until(() -> master.counters().get(MasterCounter.SEATS_FAILED) == 2);
    assertEquals(10, master.counters().get(MasterCounter.SLAVES_STARTED));
    assertEquals(
        RpcException.EINVAL,
        assertThrows(RpcException.class, () -> get(master.controlPlane().startSlave(1))).code());
    try (Stream<Path> logs = Files.list(runDirectory.resolve("log"))) {
      assertEquals(10, logs.count());
    }
  }

  @Test
  void shouldGiveUpWhenTheProcessCannotEvenBeStarted() {
    master = Master.launch(realProcesses("/nowhere/java"));
    awaitState(SlaveInfo.State.FAILED);
    assertEquals(1, master.counters().get(MasterCounter.SEATS_FAILED));
  }

  @Test
  void shouldGiveUpStandbysThatNeverGetWarm() throws IOException {
    master =
        Master.launch(
            context(runDirectory, processes).standbyCount(1).restartDelayNs(1_000_000, 8_000_000));
    final FakeSlave owner = slave(processes.awaitStart()).serve(0);
    for (int i = 0; i < 5; i++) {
      processes.die(processes.awaitStart());
    }
    await()
        .until(
            () ->
                states(master.controlPlane())
                    .equals(List.of(SlaveInfo.State.ACTIVE, SlaveInfo.State.FAILED)));
    assertEquals(0, processes.startedCount());
    get(master.controlPlane().startSlave(0));
    slave(processes.awaitStart()).standBy().close();
    owner.close();
  }

  @Test
  void shouldNotCountASlaveThatServedAsAFailure() throws IOException {
    master = Master.launch(context(runDirectory, processes).serviceNsMin(1));
    for (int i = 0; i < 12; i++) {
      slave(processes.awaitStart()).serve(0).die();
    }
    slave(processes.awaitStart()).serve(0).close();
    assertEquals(0, master.counters().get(MasterCounter.SEATS_FAILED));
  }

  @Test
  void shouldKillASlaveThatBreaksTheProtocolAndGoOn() throws IOException {
    master = Master.launch(context(runDirectory, processes).failuresMax(100));
    final List<RelayMessageType> mastersOwn =
        List.of(RelayMessageType.WELCOME, RelayMessageType.RELAY, RelayMessageType.SHUTDOWN);
    for (final RelayMessageType type : mastersOwn) {
      final FakeSlave broken = slave(processes.awaitStart());
      broken.hello();
      broken.expect(RelayMessageType.SEAT);
      broken.begin(type, 0, 0);
      broken.send();
      assertTrue(broken.isHungUpOn());
      await().until(() -> processes.isDead(broken.pid()));
      broken.close();
    }
    final FakeSlave wrongVersion = slave(processes.awaitStart());
    wrongVersion.connect();
    wrongVersion.sendHello(99);
    assertTrue(wrongVersion.isHungUpOn());
    wrongVersion.close();
    final FakeSlave silent = slave(processes.awaitStart());
    silent.connect();
    silent.begin(RelayMessageType.ANSWER, 1, 1);
    silent.send();
    assertTrue(silent.isHungUpOn());
    silent.close();
    final FakeSlave shortMessage = slave(processes.awaitStart());
    shortMessage.hello();
    shortMessage.expect(RelayMessageType.SEAT);
    shortMessage.begin(RelayMessageType.BDEV_RESULT, 0, 1).putInt(3);
    shortMessage.send();
    assertTrue(shortMessage.isHungUpOn());
    shortMessage.close();
    slave(processes.awaitStart()).serve(0).close();
    assertEquals(6, master.counters().get(MasterCounter.SLAVES_KILLED));
  }

  @Test
  void shouldKillAnOwnerThatOnlyHangsUp() throws IOException {
    master = Master.launch(context(runDirectory, processes));
    final FakeSlave owner = slave(processes.awaitStart()).serve(0);
    awaitState(SlaveInfo.State.ACTIVE);
    owner.disconnect();
    await().until(() -> processes.isDead(owner.pid()));
    slave(processes.awaitStart()).serve(0).close();
  }

  @ParameterizedTest
  @ValueSource(longs = {SeatSegment.ACTIVITY_POLLING, SeatSegment.ACTIVITY_ASLEEP})
  void shouldKillAnOwnerWhoseReactorStandsStill(final long activity) throws IOException {
    master = Master.launch(context(runDirectory, processes).hangNsMax(200_000_000));
    final FakeSlave owner = slave(processes.awaitStart()).serve(0);
    awaitState(SlaveInfo.State.ACTIVE);
    try (SeatSegment segment = SeatSegment.open(owner.segments(), 0)) {
      final long reactor = segment.reactorAddress(0);
      Mem.putLongRelease(reactor + SeatSegment.ACTIVITY_OFFSET, SeatSegment.ACTIVITY_NONE);
      Mem.putLongRelease(reactor + SeatSegment.HEARTBEAT_NS_OFFSET, 1);
      await().pollDelay(600, TimeUnit.MILLISECONDS).until(() -> !processes.isDead(owner.pid()));
      Mem.putLongRelease(reactor + SeatSegment.ACTIVITY_OFFSET, activity);
      await().until(() -> processes.isDead(owner.pid()));
    }
    final FakeSlave next = slave(processes.awaitStart());
    next.hello();
    next.expect(RelayMessageType.SEAT);
    next.takeSeat(0, true);
    await().until(() -> !master.controlPlane().recoveries().isEmpty());
    final RecoveryInfo recovery = master.controlPlane().recoveries().get(0);
    assertEquals(RecoveryInfo.Cause.HUNG, recovery.cause());
    final Path evidence = Path.of(recovery.evidence());
    assertEquals(runDirectory.resolve("evidence"), evidence.getParent());
    assertEquals(
        "process " + owner.pid() + " as described",
        Files.readString(evidence.resolve("process.txt")));
    final String report = Files.readString(evidence.resolve("report.json"));
    assertTrue(report.contains("gave no heartbeat for"), report);
    assertTrue(report.contains("\"slaves_suspected\""), report);
    assertTrue(Files.exists(evidence.resolve("threads.txt")));
    owner.close();
    next.close();
  }

  @Test
  void shouldSpareAnOwnerThatGetsNoCoreAndKillItWhenItLoops() throws IOException {
    master = Master.launch(context(runDirectory, processes).hangNsMax(200_000_000));
    processes.activity(true, 1_000_000);
    final FakeSlave owner = slave(processes.awaitStart()).serve(0);
    awaitState(SlaveInfo.State.ACTIVE);
    try (SeatSegment segment = SeatSegment.open(owner.segments(), 0)) {
      final long reactor = segment.reactorAddress(0);
      Mem.putLongRelease(reactor + SeatSegment.HEARTBEAT_NS_OFFSET, 1);
      Mem.putLongRelease(reactor + SeatSegment.ACTIVITY_OFFSET, SeatSegment.ACTIVITY_POLLING);
      await().until(() -> counter(MasterCounter.SLAVES_STARVED) == 1);
      assertFalse(processes.isDead(owner.pid()));

      final Path evidence = runDirectory.resolve("evidence");
      await().until(() -> Files.exists(evidence) && !isEmpty(evidence));
      Mem.putLongRelease(reactor + SeatSegment.ACTIVITY_OFFSET, SeatSegment.ACTIVITY_NONE);
      Mem.putLongRelease(reactor + SeatSegment.HEARTBEAT_NS_OFFSET, 2);
      // It is forgiven: the files about it go.
      await().until(() -> isEmpty(evidence));
      Mem.putLongRelease(reactor + SeatSegment.ACTIVITY_OFFSET, SeatSegment.ACTIVITY_POLLING);
      await().until(() -> counter(MasterCounter.SLAVES_STARVED) == 2);
      assertFalse(processes.isDead(owner.pid()));

      processes.activity(true, 500_000_000);
      await().until(() -> processes.isDead(owner.pid()));
    }
    owner.close();
  }

  private long counter(final MasterCounter counter) {
    return master.counters().get(counter);
  }

  private static boolean isEmpty(final Path directory) throws IOException {
    try (Stream<Path> files = Files.list(directory)) {
      return files.findAny().isEmpty();
    }
  }

  @Test
  void shouldKillASlaveThatReadsNothing() throws IOException {
    master =
        Master.launch(context(runDirectory, processes).standbyCount(1).stuckNsMax(100_000_000));
    final FakeSlave owner = slave(processes.awaitStart()).serve(0);
    final FakeSlave deaf = slave(processes.awaitStart()).standBy();
    awaitState(SlaveInfo.State.STANDBY);
    for (int i = 0; i < 4000 && !processes.isDead(deaf.pid()); i++) {
      final var created = master.controlPlane().createBdev(nullBdev("a" + "n".repeat(150) + i));
      owner.answerBdev(RelayMessageType.BDEV_ADD, 0, "");
      get(created);
    }
    await().until(() -> processes.isDead(deaf.pid()));
    assertFalse(processes.isDead(owner.pid()));
    owner.close();
    deaf.close();
  }
}

package io.virtnvme.master;

import static io.virtnvme.master.MasterFixture.bdev;
import static io.virtnvme.master.MasterFixture.context;
import static io.virtnvme.master.MasterFixture.controller;
import static io.virtnvme.master.MasterFixture.get;
import static io.virtnvme.master.MasterFixture.nullBdev;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.virtnvme.ipc.memory.Mem;
import io.virtnvme.ipc.relay.RelayMessageType;
import io.virtnvme.ipc.segment.MemDiskSegment;
import io.virtnvme.ipc.segment.SegmentDirectory;
import io.virtnvme.ipc.sys.Fds;
import io.virtnvme.ipc.sys.UnixSocket;
import io.virtnvme.master.relay.MasterCounter;
import io.virtnvme.master.rpc.BdevInfo;
import io.virtnvme.master.rpc.BdevMethod;
import io.virtnvme.master.rpc.JsonText;
import io.virtnvme.master.rpc.RpcClient;
import io.virtnvme.master.rpc.SlaveInfo;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermissions;
import java.time.Duration;
import java.util.List;
import org.junit.jupiter.api.Test;

class MasterStartTest extends MasterRig {
  private MasterContext newContext() {
    return context(runDirectory, processes);
  }

  private static String refusal(final MasterContext context) {
    return assertThrows(StartRefusedException.class, () -> Master.launch(context)).getMessage();
  }

  private SegmentDirectory segments() throws IOException {
    final String text = Files.readString(runDirectory.resolve("instance")).trim();
    return SegmentDirectory.of(Long.parseUnsignedLong(text, 16));
  }

  @Test
  void shouldMakeAPrivateRunDirectoryAndRemoveAllButTheRegistryWhenStopped() throws IOException {
    master = Master.launch(newContext());
    assertEquals(
        PosixFilePermissions.fromString("rwx------"), Files.getPosixFilePermissions(runDirectory));
    final SegmentDirectory segments = segments();
    assertTrue(Files.exists(segments.seat(0)));
    assertTrue(Files.exists(runDirectory.resolve("rpc.sock")));
    master.close();
    assertFalse(Files.exists(segments.path()));
    assertFalse(Files.exists(runDirectory.resolve("rpc.sock")));
    assertFalse(Files.exists(runDirectory.resolve("slaves.sock")));
    assertTrue(processes.isDead(processes.awaitStart()));
    assertTrue(Files.exists(runDirectory.resolve("registry")));
  }

  @Test
  void shouldRefuseASecondMasterAndNameTheFirst() throws IOException {
    master = Master.launch(newContext());
    final String instance = Files.readString(runDirectory.resolve("instance"));
    final String refusal = refusal(newContext());
    assertTrue(refusal.contains("process " + ProcessHandle.current().pid()), refusal);
    assertEquals(instance, Files.readString(runDirectory.resolve("instance")));
    Fds.close(UnixSocket.connectStream(runDirectory.resolve("rpc.sock").toString()));
  }

  @Test
  void shouldReplaceTheStaleSocketsOfADeadMaster() throws IOException {
    Files.createDirectories(runDirectory.resolve("vhost"));
    Fds.close(UnixSocket.listenSeqPacket(runDirectory.resolve("slaves.sock").toString(), 1));
    Fds.close(UnixSocket.listenStream(runDirectory.resolve("vhost").resolve("c0").toString(), 1));
    master = Master.launch(newContext());
    get(master.controlPlane().createBdev(nullBdev("n0")));
    get(master.controlPlane().createBlkController(controller("c0", "n0")));
    Fds.close(UnixSocket.connectStream(runDirectory.resolve("vhost").resolve("c0").toString()));
  }

  @Test
  void shouldRefuseWhatCannotBeUsed() throws IOException {
    Files.createDirectories(runDirectory);
    Files.writeString(runDirectory.resolve("instance"), "no number");
    assertTrue(refusal(newContext()).contains("holds no instance id"));
    assertEquals("no number", Files.readString(runDirectory.resolve("instance")));
    Files.delete(runDirectory.resolve("instance"));
    Files.writeString(directory.resolve("file"), "");
    assertTrue(
        refusal(newContext().runDirectory(directory.resolve("file").resolve("below")))
            .contains("cannot be made"));
    assertTrue(refusal(newContext().cores(List.of(1, 1))).contains("twice"));
    assertTrue(refusal(newContext().slaveCount(2)).contains("slaves"));
    assertTrue(refusal(newContext().standbyCount(9)).contains("standby"));
    assertTrue(
        refusal(newContext().configFile(directory.resolve("none"))).contains("no configuration"));
    assertEquals(0, processes.startedCount());
  }

  @Test
  void shouldCarryOutAConfigurationOrLeaveNothingRunning() throws IOException {
    final Path config = directory.resolve("config.json");
    Files.writeString(
        config,
        """
        {"subsystems": [{"subsystem": "bdev", "config": [
          {"method": "bdev_null_create", "params": {"name": "n0", "num_blocks": 8, "block_size": 512}}
        ]}]}
        """);
    master = Master.launch(newContext().configFile(config));
    assertEquals("n0", master.controlPlane().bdevs().get(0).spec().name());
    master.close();
    Files.writeString(
        config,
        """
        {"subsystems": [{"subsystem": "bdev", "config": [
          {"method": "bdev_uring_create", "params": {"name": "u0", "filename": "/nowhere/at/all"}}
        ]}]}
        """);
    processes.awaitStart();
    assertTrue(refusal(newContext().configFile(config)).contains("/nowhere/at/all"));
    assertTrue(processes.isDead(processes.awaitStart()));
    assertFalse(Files.exists(runDirectory.resolve("rpc.sock")));
  }

  @Test
  void shouldBringBackWhatExistedAndSayWhichMemoryDisksAreEmptyNow() throws Exception {
    master = Master.launch(newContext());
    get(master.controlPlane().createBdev(bdev("m0", BdevMethod.MALLOC, 512, 2048, "")));
    rpc("bdev_malloc_create", "{\"name\":\"m1\",\"num_blocks\":2048,\"block_size\":4096}");
    rpc("vhost_create_blk_controller", "{\"ctrlr\":\"c1\",\"dev_name\":\"m1\"}");
    master.close();
    master = Master.launch(newContext());
    assertEquals(1, master.controlPlane().bdevs().size(), "m0 was made behind the registry's back");
    assertEquals(1, master.controlPlane().controllers().size());
    assertTrue(Files.exists(runDirectory.resolve("vhost").resolve("c1")));
    assertEquals(1, master.counters().get(MasterCounter.MEM_DISKS_RECREATED));
    final Path segment = segments().memDisk("m1");
    master.close();
    assertFalse(Files.exists(segment));
  }

  @Test
  void shouldKeepMemoryDisksOverAStopIfAsked() throws Exception {
    master = Master.launch(newContext().keepMemDisksOnStop(true));
    rpc("bdev_malloc_create", "{\"name\":\"m1\",\"num_blocks\":2048,\"block_size\":4096}");
    try (MemDiskSegment disk = MemDiskSegment.open(segments(), "m1")) {
      Mem.putLong(disk.dataAddress(), 4711);
    }
    master.close();
    master = Master.launch(newContext());
    assertEquals(0, master.counters().get(MasterCounter.MEM_DISKS_RECREATED));
    try (MemDiskSegment disk = MemDiskSegment.open(segments(), "m1")) {
      assertEquals(4711, Mem.getLong(disk.dataAddress()));
    }
  }

  @Test
  void shouldRemoveSegmentsOfAnotherBootAndNeverReplayThem() throws Exception {
    master = Master.launch(newContext().keepMemDisksOnStop(true));
    rpc("bdev_malloc_create", "{\"name\":\"m1\",\"num_blocks\":2048,\"block_size\":4096}");
    master.close();
    Files.writeString(runDirectory.resolve("boot"), "11111111-2222-3333-4444-555555555555\n");
    master = Master.launch(newContext());
    assertEquals(1, master.counters().get(MasterCounter.MEM_DISKS_RECREATED));
    assertEquals(BdevInfo.State.RECOVERING, master.controlPlane().bdevs().get(0).state());
  }

  @Test
  void shouldStopStandbysFirstAndThenAskTheOwner() throws Exception {
    master = Master.launch(newContext().standbyCount(1));
    final FakeSlave owner = slave(processes.awaitStart()).serve(0);
    final FakeSlave standby = slave(processes.awaitStart()).standBy();
    awaitState(SlaveInfo.State.STANDBY);
    final Thread closer = new Thread(master::close);
    closer.start();
    owner.expect(RelayMessageType.SHUTDOWN);
    assertTrue(processes.isDead(standby.pid()));
    assertFalse(processes.isDead(owner.pid()));
    owner.die();
    closer.join();
    standby.close();
  }

  @Test
  void shouldKillASlaveThatNeverConnectedWhenEverythingIsStopped() {
    final int stranger = processes.create();
    master = Master.launch(newContext());
    assertFalse(processes.isDead(stranger));
    master.close();
    assertTrue(processes.isDead(stranger));
  }

  private void rpc(final String method, final String params) throws Exception {
    try (RpcClient client =
        RpcClient.connect(runDirectory.resolve("rpc.sock"), Duration.ofSeconds(10))) {
      client.call(method, JsonText.parse(params));
    }
  }
}

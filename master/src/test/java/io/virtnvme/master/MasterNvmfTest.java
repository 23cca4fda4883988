package io.virtnvme.master;

import static io.virtnvme.master.MasterFixture.context;
import static io.virtnvme.master.MasterFixture.controller;
import static io.virtnvme.master.MasterFixture.get;
import static io.virtnvme.master.MasterFixture.nullBdev;
import static org.awaitility.Awaitility.await;
import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.virtnvme.ipc.memory.Mem;
import io.virtnvme.ipc.relay.NvmeDescription;
import io.virtnvme.ipc.relay.RelayMessageType;
import io.virtnvme.ipc.relay.RelayReader;
import io.virtnvme.ipc.relay.SessionDescription;
import io.virtnvme.ipc.segment.SessionSegment;
import io.virtnvme.ipc.segment.SessionSegment.QueueCounter;
import io.virtnvme.ipc.vfiouser.VfioUserCommand;
import io.virtnvme.ipc.vfiouser.VfioUserMessage;
import io.virtnvme.master.relay.FrontEndPeer;
import io.virtnvme.master.rpc.BdevInfo;
import io.virtnvme.master.rpc.BdevKind;
import io.virtnvme.master.rpc.BdevSpec;
import io.virtnvme.master.rpc.ControlPlane;
import io.virtnvme.master.rpc.IoStat;
import io.virtnvme.master.rpc.NvmfControl;
import io.virtnvme.master.rpc.NvmfListenerSpec;
import io.virtnvme.master.rpc.NvmfNamespaceSpec;
import io.virtnvme.master.rpc.NvmfSubsystemSpec;
import io.virtnvme.master.rpc.NvmfTransportSpec;
import io.virtnvme.master.rpc.RpcException;
import io.virtnvme.master.rpc.SlaveInfo;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.UUID;
import java.util.concurrent.CompletionStage;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

/** NVMe subsystems in a running master whose slave does what the test says. */
class MasterNvmfTest extends MasterRig {
  private static final String NQN = "nqn.2024-01.org.virtnvme:d";

  private static final String NGUID = "00112233445566778899aabbccddeeff";
  private static final String EUI64 = "0123456789abcdef";
  private static final UUID OTHER_UUID = new UUID(0x1234, 0x5678);

  private ControlPlane plane;
  private NvmfControl nvmf;
  private FakeSlave owner;
  private Path socket;

  @BeforeEach
  void start() throws IOException {
    master = Master.launch(context(runDirectory, processes));
    plane = master.controlPlane();
    nvmf = plane.nvmf();
    owner = slave(processes.awaitStart()).serve(0);
    awaitState(SlaveInfo.State.ACTIVE);
    socket = directory.resolve("d1").resolve("cntrl");
  }

  @AfterEach
  void stop() {
    owner.die();
  }

  private BdevInfo create(final BdevSpec spec) {
    final CompletionStage<BdevInfo> created = plane.createBdev(spec);
    owner.answerBdev(RelayMessageType.BDEV_ADD, 0, "");
    return get(created);
  }

  private static NvmfSubsystemSpec subsystem(final boolean allowAnyHost) {
    return new NvmfSubsystemSpec(NQN, "S1", "M1", 4, allowAnyHost, 1, 9);
  }

  private static NvmfNamespaceSpec namespace(final String bdev, final int nsid) {
    return new NvmfNamespaceSpec(nsid, bdev, null, "", "");
  }

  private NvmfListenerSpec listener() {
    return new NvmfListenerSpec(socket.getParent().toString(), "0");
  }

  private void assertRefused(final int code, final String words, final CompletionStage<?> stage) {
    final RpcException refused = assertThrows(RpcException.class, () -> get(stage));
    assertEquals(code, refused.code(), refused.getMessage());
    assertTrue(refused.getMessage().contains(words), refused.getMessage());
  }

  /** A subsystem with one namespace that listens. */
  private void make() {
    create(nullBdev("n0"));
    get(nvmf.createTransport(new NvmfTransportSpec(128, 8, false, false)));
    get(nvmf.createSubsystem(subsystem(true)));
    get(nvmf.addNamespace(NQN, namespace("n0", 0)));
    get(nvmf.addListener(NQN, listener()));
  }

  private long expectSession() {
    final long id = owner.expect(RelayMessageType.SESSION).id();
    assertTrue(owner.sessions().containsKey(id));
    return id;
  }

  private List<NvmeDescription.Namespace> answerNamespaces() {
    final RelayReader message = owner.expect(RelayMessageType.NAMESPACES);
    final long id = message.id();
    final long sequence = message.sequence();
    final List<NvmeDescription.Namespace> namespaces = NvmeDescription.readNamespaces(message);
    owner.begin(RelayMessageType.NAMESPACES_SET, id, sequence);
    owner.send();
    return namespaces;
  }

  @Test
  void shouldDescribeTheControllerToTheSlaveAndRelayItsMessages() {
    make();
    assertTrue(Files.exists(socket));
    try (FrontEndPeer guest = FrontEndPeer.connect(socket)) {
      final long session = expectSession();
      final SessionDescription description = owner.sessions().get(session).description();
      assertEquals(SessionDescription.Protocol.VFIO_USER_NVME, description.protocol());
      final NvmeDescription controller = description.nvme();
      assertEquals(NQN, controller.subsystemNqn());
      assertEquals("S1", controller.serialNumber());
      assertEquals("M1", controller.modelNumber());
      assertEquals(1, controller.controllerId());
      assertEquals(4, controller.namespaceCountMax());
      assertTrue(controller.mappableDoorbells());
      assertFalse(controller.shadowDoorbells());
      assertEquals(8, controller.ioQueueCountMax());
      assertEquals(128, controller.queueEntryCountMax());
      assertEquals(1, controller.namespaces().size());
      assertEquals(1, controller.namespaces().get(0).nsid());

      final byte[] command = VfioUserMessage.command(VfioUserCommand.DEVICE_RESET, 5, 0, 0);
      guest.send(command);
      final RelayReader relayed = owner.expect(RelayMessageType.RELAY);
      assertArrayEquals(command, relayed.getBytes());
      final byte[] reply = VfioUserMessage.reply(command, 0);
      owner.reply(session, relayed.sequence(), 1, reply);
      assertArrayEquals(reply, guest.receive(16));
      await().until(() -> nvmf.subsystems().get(0).controllers().size() == 1);
      assertEquals(1, nvmf.subsystems().get(0).controllers().get(0).cntlid());
    }
    owner.expect(RelayMessageType.SESSION_CLOSE);
  }

  @Test
  void shouldTellTheSlaveOfNamespacesThatComeAndGoAndWaitForIt() {
    make();
    create(nullBdev("n1"));
    try (FrontEndPeer guest = FrontEndPeer.connect(socket)) {
      final long session = expectSession();
      final CompletionStage<NvmfNamespaceSpec> added = nvmf.addNamespace(NQN, namespace("n1", 3));
      assertEquals(2, answerNamespaces().size());
      assertEquals(3, get(added).nsid());

      final CompletionStage<Void> removed = nvmf.removeNamespace(NQN, 1);
      final RelayReader message = owner.expect(RelayMessageType.NAMESPACES);
      final long sequence = message.sequence();
      assertEquals(3, NvmeDescription.readNamespaces(message).get(0).nsid());
      assertFalse(removed.toCompletableFuture().isDone(), "requests may run on it still");
      owner.begin(RelayMessageType.NAMESPACES_SET, session, sequence);
      owner.send();
      get(removed);
      assertTrue(guest.isSilent(0));
    }
  }

  private static void assertIdentified(final NvmeDescription.Namespace namespace) {
    assertEquals(NGUID, namespace.nguid());
    assertEquals(EUI64, namespace.eui64());
    assertEquals(OTHER_UUID, namespace.uuid());
  }

  @Test
  void shouldGiveANamespaceTheIdentifiersThatWereAskedFor() throws IOException {
    make();
    create(nullBdev("n1"));
    create(nullBdev("n2"));
    final NvmfNamespaceSpec asked = new NvmfNamespaceSpec(3, "n1", OTHER_UUID, NGUID, EUI64);
    assertEquals(asked, get(nvmf.addNamespace(NQN, asked)));
    assertEquals(asked, nvmf.subsystems().get(0).subsystem().namespaces().get(1));
    assertRefused(
        RpcException.EEXIST,
        EUI64,
        nvmf.addNamespace(NQN, new NvmfNamespaceSpec(2, "n2", null, "", EUI64)));
    try (FrontEndPeer guest = FrontEndPeer.connect(socket)) {
      final long session = expectSession();
      assertIdentified(owner.sessions().get(session).description().nvme().namespaces().get(1));
      owner.die();
      owner = slave(processes.awaitStart()).hello();
      final long again = expectSession();
      assertIdentified(owner.sessions().get(again).description().nvme().namespaces().get(1));
      owner.takeSeat(0, true);
      assertTrue(guest.isSilent(0));
    }
  }

  private static void count(final long address, final long readOps, final long errors) {
    Mem.putLong(address + QueueCounter.READ_OPS.offsetBytes(), readOps);
    Mem.putLong(address + QueueCounter.READ_BYTES.offsetBytes(), readOps * 512);
    Mem.putLong(address + QueueCounter.ERRORS.offsetBytes(), errors);
  }

  private void assertIo(final String bdev, final long readOps, final long errors) {
    final IoStat stat = get(plane.ioStats(List.of(bdev))).get(0);
    assertEquals(readOps, stat.readOps(), bdev);
    assertEquals(readOps * 512, stat.bytesRead(), bdev);
    assertEquals(errors, stat.errors(), bdev);
  }

  @Test
  void shouldCountTheIoOfEachNamespaceForItsBdev() throws IOException {
    make();
    create(nullBdev("n1"));
    create(nullBdev("n2"));
    get(nvmf.addNamespace(NQN, namespace("n1", 2)));
    final long id;
    try (FrontEndPeer guest = FrontEndPeer.connect(socket)) {
      id = expectSession();
      final List<NvmeDescription.Namespace> before =
          owner.sessions().get(id).description().nvme().namespaces();
      try (SessionSegment segment = SessionSegment.open(owner.segments(), id)) {
        final CompletionStage<NvmfNamespaceSpec> added = nvmf.addNamespace(NQN, namespace("n2", 0));
        final List<NvmeDescription.Namespace> now = answerNamespaces();
        get(added);
        count(segment.diskCounters(before.get(0).bdevId()), 10, 1);
        count(segment.diskCounters(before.get(1).bdevId()), 20, 0);
        count(segment.diskCounters(now.get(2).bdevId()), 30, 0);
        // Two of the errors had no namespace; the reads of a cycle are not added yet.
        count(segment.queueCounters(3), 59, 3);
        assertIo("n0", 10, 3);
        assertIo("n1", 20, 0);
        assertIo("n2", 30, 0);
        // What a slave that does not count for namespaces does is the first one's, and stays.
        count(segment.queueCounters(3), 65, 3);
        assertIo("n0", 15, 3);
        count(segment.diskCounters(before.get(1).bdevId()), 23, 0);
        assertIo("n0", 15, 3);
        assertIo("n1", 23, 0);
      }
      assertTrue(guest.isSilent(0));
    }
    owner.expect(RelayMessageType.SESSION_CLOSE);
    owner.closed(id);
    await().until(() -> nvmf.subsystems().get(0).controllers().isEmpty());
    assertIo("n0", 15, 3);
    assertIo("n1", 23, 0);
    assertIo("n2", 30, 0);
  }

  @Test
  void shouldNotWaitForASlaveThatDies() throws IOException {
    make();
    create(nullBdev("n1"));
    try (FrontEndPeer guest = FrontEndPeer.connect(socket)) {
      expectSession();
      final CompletionStage<NvmfNamespaceSpec> added = nvmf.addNamespace(NQN, namespace("n1", 0));
      owner.expect(RelayMessageType.NAMESPACES);
      owner.die();
      assertEquals(2, get(added).nsid());
      owner = slave(processes.awaitStart()).hello();
      final long session = expectSession();
      assertEquals(2, owner.sessions().get(session).description().nvme().namespaces().size());
      owner.takeSeat(0, true);
      assertTrue(guest.isSilent(0));
    }
  }

  @Test
  void shouldRefuseWhatWouldTakeADiskOrADeviceFromAGuest() {
    make();
    assertRefused(RpcException.EBUSY, NQN, plane.deleteBdev("n0", BdevKind.NULL));
    assertTrue(plane.bdevs().get(0).claimed());
    try (FrontEndPeer guest = FrontEndPeer.connect(socket)) {
      expectSession();
      assertRefused(RpcException.EBUSY, "connected", nvmf.deleteSubsystem(NQN));
      assertRefused(RpcException.EBUSY, "connected", nvmf.removeListener(NQN, listener().traddr()));
      assertTrue(guest.isSilent(0));
    }
    final long session = owner.expect(RelayMessageType.SESSION_CLOSE).id();
    owner.closed(session);
    await().until(() -> nvmf.subsystems().get(0).controllers().isEmpty());
    get(nvmf.removeListener(NQN, listener().traddr()));
    assertFalse(Files.exists(socket));
    get(nvmf.removeNamespace(NQN, 1));
    final CompletionStage<Void> deleted = plane.deleteBdev("n0", BdevKind.NULL);
    owner.answerBdev(RelayMessageType.BDEV_REMOVE, 0, "");
    get(deleted);
    get(nvmf.deleteSubsystem(NQN));
    assertTrue(nvmf.subsystems().isEmpty());
  }

  @Test
  void shouldRefuseWhatCannotBeAndSayWhatToDo() {
    make();
    create(nullBdev("n1"));
    assertRefused(
        RpcException.EEXIST,
        "exists",
        nvmf.createTransport(new NvmfTransportSpec(8, 8, false, false)));
    assertRefused(RpcException.EEXIST, NQN, nvmf.createSubsystem(subsystem(true)));
    assertRefused(RpcException.EEXIST, "namespace 1", nvmf.addNamespace(NQN, namespace("n1", 1)));
    assertRefused(RpcException.EINVAL, "1 to 4", nvmf.addNamespace(NQN, namespace("n1", 5)));
    assertRefused(RpcException.EBUSY, "already", nvmf.addNamespace(NQN, namespace("n0", 2)));
    assertRefused(RpcException.ENODEV, "bdev", nvmf.addNamespace(NQN, namespace("none", 2)));
    final UUID uuidOf1 = nvmf.subsystems().get(0).subsystem().namespaces().get(0).uuid();
    assertRefused(
        RpcException.EEXIST,
        uuidOf1.toString(),
        nvmf.addNamespace(NQN, new NvmfNamespaceSpec(2, "n1", uuidOf1, NGUID, "")));
    final String nguidOf1 = uuidOf1.toString().replace("-", "");
    assertRefused(
        RpcException.EEXIST,
        nguidOf1,
        nvmf.addNamespace(NQN, new NvmfNamespaceSpec(2, "n1", null, nguidOf1, "")));
    assertRefused(RpcException.ENODEV, "namespace 2", nvmf.removeNamespace(NQN, 2));
    assertRefused(RpcException.EEXIST, "listens", nvmf.addListener(NQN, listener()));
    assertRefused(
        RpcException.EINVAL,
        "too long",
        nvmf.addListener(NQN, new NvmfListenerSpec("/tmp/" + "x".repeat(110), "")));
    assertRefused(
        RpcException.EINVAL,
        "cannot be made",
        nvmf.addListener(NQN, new NvmfListenerSpec("/dev/null", "")));
    assertRefused(RpcException.ENODEV, "no subsystem", nvmf.deleteSubsystem("nqn.x"));
    assertRefused(RpcException.ENODEV, "not listen", nvmf.removeListener(NQN, "/elsewhere"));
  }

  @Test
  void shouldLetInNobodyWhileHostsAreNotAllowed() {
    make();
    get(nvmf.allowAnyHost(NQN, false));
    try (FrontEndPeer guest = FrontEndPeer.connect(socket)) {
      assertTrue(guest.isAtEnd());
    }
    get(nvmf.allowAnyHost(NQN, true));
    try (FrontEndPeer guest = FrontEndPeer.connect(socket)) {
      expectSession();
      assertTrue(guest.isSilent(0));
    }
  }

  /** A disk may serve both kinds of controllers; it goes when neither uses it. */
  @Test
  void shouldKeepADiskThatAVhostControllerExportsToo() {
    make();
    get(plane.createBlkController(controller("c0", "n0")));
    get(nvmf.removeNamespace(NQN, 1));
    assertRefused(RpcException.EBUSY, "controller", plane.deleteBdev("n0", BdevKind.NULL));
  }
}

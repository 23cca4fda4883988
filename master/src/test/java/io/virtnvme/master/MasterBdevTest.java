package io.virtnvme.master;

import static io.virtnvme.master.MasterFixture.bdev;
import static io.virtnvme.master.MasterFixture.bdevOf;
import static io.virtnvme.master.MasterFixture.context;
import static io.virtnvme.master.MasterFixture.controller;
import static io.virtnvme.master.MasterFixture.get;
import static io.virtnvme.master.MasterFixture.nullBdev;
import static org.awaitility.Awaitility.await;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.virtnvme.ipc.memory.Mem;
import io.virtnvme.ipc.relay.BdevDescription;
import io.virtnvme.ipc.relay.BdevLimits;
import io.virtnvme.ipc.relay.RelayMessageType;
import io.virtnvme.ipc.relay.RelayReader;
import io.virtnvme.ipc.segment.MemDiskSegment;
import io.virtnvme.ipc.segment.SessionSegment;
import io.virtnvme.ipc.segment.SessionSegment.QueueCounter;
import io.virtnvme.ipc.sys.Errno;
import io.virtnvme.ipc.sys.Fds;
import io.virtnvme.master.relay.FrontEndPeer;
import io.virtnvme.master.rpc.BdevInfo;
import io.virtnvme.master.rpc.BdevKind;
import io.virtnvme.master.rpc.BdevMethod;
import io.virtnvme.master.rpc.BdevSpec;
import io.virtnvme.master.rpc.BlkControllerSpec;
import io.virtnvme.master.rpc.ControlPlane;
import io.virtnvme.master.rpc.IoStat;
import io.virtnvme.master.rpc.RpcException;
import io.virtnvme.master.rpc.SlaveInfo;
import java.io.IOException;
import java.io.RandomAccessFile;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.concurrent.CompletionStage;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

class MasterBdevTest extends MasterRig {
  private ControlPlane plane;
  private FakeSlave owner;

  @BeforeEach
  void start() throws IOException {
    master = Master.launch(context(runDirectory, processes));
    plane = master.controlPlane();
    owner = slave(processes.awaitStart()).serve(0);
    awaitState(SlaveInfo.State.ACTIVE);
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

  private void assertRefused(final int code, final String words, final CompletionStage<?> stage) {
    final RpcException refused = assertThrows(RpcException.class, () -> get(stage));
    assertEquals(code, refused.code(), refused.getMessage());
    assertTrue(refused.getMessage().contains(words), refused.getMessage());
  }

  private Path file(final String name, final long length) throws IOException {
    final Path file = directory.resolve(name);
    try (RandomAccessFile made = new RandomAccessFile(file.toFile(), "rw")) {
      made.setLength(length);
    }
    return file;
  }

  private static BdevSpec uring(final String name, final Path file, final int blockSize) {
    return bdev(name, BdevMethod.URING, blockSize, 0, file.toString());
  }

  @Test
  void shouldDescribeABdevToTheSlave() throws IOException {
    final Path file = file("disk", 1 << 20);
    final CompletionStage<BdevInfo> created = plane.createBdev(uring("u0", file, 0));
    final RelayReader message = owner.expect(RelayMessageType.BDEV_ADD);
    final BdevDescription description = BdevDescription.read(message);
    assertEquals("u0", description.name());
    assertEquals(BdevDescription.Kind.URING, description.kind());
    assertEquals(512, description.blockBytes());
    assertEquals(2048, description.blockCount());
    assertEquals(file.toString(), description.path());
    assertEquals("u0", description.serial());
    assertEquals(0, message.getInt());
    owner
        .begin(RelayMessageType.BDEV_RESULT, message.id(), message.sequence())
        .putInt(0)
        .putString("")
        .putLong(2048);
    owner.send();
    final BdevInfo info = get(created);
    assertEquals(512, info.blockSize());
    assertEquals(2048, info.numBlocks());
    assertEquals(BdevInfo.State.ONLINE, info.state());
    assertEquals(List.of(info), plane.bdevs());
  }

  @Test
  void shouldRefuseFilesThatCannotBeServedAndSayWhatToDo() throws IOException {
    final Path odd = file("odd", 1000);
    assertRefused(
        RpcException.ENOENT, "truncate", plane.createBdev(uring("a", directory.resolve("x"), 0)));
    assertRefused(RpcException.EINVAL, "1000 bytes", plane.createBdev(uring("a", odd, 512)));
    assertRefused(RpcException.EINVAL, "neither", plane.createBdev(uring("a", directory, 512)));
    assertRefused(
        RpcException.EINVAL, "neither", plane.createBdev(uring("a", Path.of("/dev/zero"), 512)));
    assertRefused(
        RpcException.EINVAL, "bytes", plane.createBdev(uring("a", file("empty", 0), 512)));
    final Path locked = file("locked", 4096);
    final int fd = Fds.open(locked.toString(), Fds.O_RDWR, 0);
    assertTrue(Fds.tryLock(fd));
    assertRefused(
        RpcException.EBUSY,
        "process " + ProcessHandle.current().pid(),
        plane.createBdev(uring("a", locked, 512)));
    Fds.close(fd);
    assertEquals(List.of(), plane.bdevs());
  }

  @Test
  void shouldTakeBackABdevThatTheSlaveCannotOpen() throws IOException {
    final Path file = file("disk", 1 << 20);
    final CompletionStage<BdevInfo> created = plane.createBdev(uring("u0", file, 4096));
    owner.answerBdev(RelayMessageType.BDEV_ADD, Errno.EBUSY, "somebody was faster");
    owner.expect(RelayMessageType.BDEV_REMOVE);
    assertRefused(RpcException.EBUSY, "somebody was faster", created);
    assertEquals(List.of(), plane.bdevs());
    create(uring("u0", file, 4096));
    assertRefused(RpcException.EBUSY, "u0", plane.createBdev(uring("u1", file, 4096)));
  }

  @Test
  void shouldRefuseNamesThatAreTakenOrReachOutOfTheFolder() {
    final BdevSpec first = nullBdev("n0");
    create(first);
    assertRefused(RpcException.EEXIST, "n0", plane.createBdev(nullBdev("n0")));
    assertRefused(
        RpcException.EEXIST,
        "uuid",
        plane.createBdev(new BdevSpec("n1", BdevMethod.NULL, first.uuid(), 512, 8, "", false)));
    for (final String bad : List.of("", ".", "..", "../x", "a/b", ".hidden", "a\nb")) {
      assertRefused(RpcException.EINVAL, "name", plane.createBdev(nullBdev(bad)));
      assertRefused(RpcException.EINVAL, "name", plane.createBlkController(controller(bad, "n0")));
    }
    assertRefused(
        RpcException.EINVAL,
        "too long",
        plane.createBlkController(controller("c".repeat(90), "n0")));
    assertRefused(RpcException.ENODEV, "zz", plane.createBlkController(controller("c0", "zz")));
    assertRefused(
        RpcException.EINVAL,
        "no seat",
        plane.createBlkController(new BlkControllerSpec("c0", "n0", "0x4", false, false, 0)));
  }

  @Test
  void shouldMakeGrowAndDeleteAMemoryDisk() throws IOException {
    create(bdev("m0", BdevMethod.MALLOC, 4096, 16, ""));
    final Path segment = owner.segments().memDisk("m0");
    assertTrue(Files.exists(segment));
    final CompletionStage<BdevInfo> resized = plane.resizeBdev("m0", BdevKind.MEM, 64);
    owner.answerBdev(RelayMessageType.BDEV_RESIZE, 0, "");
    assertEquals(64, get(resized).numBlocks());
    try (MemDiskSegment disk = MemDiskSegment.open(owner.segments(), "m0")) {
      assertEquals(64 * 4096, disk.dataBytes());
    }
    assertRefused(RpcException.EINVAL, "grow", plane.resizeBdev("m0", BdevKind.MEM, 16));
    assertRefused(RpcException.ENODEV, "m0", plane.deleteBdev("m0", BdevKind.NULL));
    final CompletionStage<Void> deleted = plane.deleteBdev("m0", BdevKind.MEM);
    owner.answerBdev(RelayMessageType.BDEV_REMOVE, 0, "");
    get(deleted);
    assertFalse(Files.exists(segment));
    assertRefused(
        RpcException.ENOSPC,
        "smaller",
        plane.createBdev(bdev("m1", BdevMethod.MALLOC, 4096, 1L << 34, "")));
    assertFalse(Files.exists(owner.segments().memDisk("m1")));
  }

  @Test
  void shouldTakeAFilesNewLength() throws IOException {
    final Path file = file("disk", 8192);
    create(uring("u0", file, 512));
    file("disk", 16384);
    final CompletionStage<BdevInfo> resized = plane.resizeBdev("u0", BdevKind.URING, 0);
    owner.answerBdev(RelayMessageType.BDEV_RESIZE, 0, "");
    assertEquals(32, get(resized).numBlocks());
    final CompletionStage<BdevInfo> failed = plane.resizeBdev("u0", BdevKind.URING, 0);
    owner.answerBdev(RelayMessageType.BDEV_RESIZE, Errno.EIO, "the disk is gone");
    assertRefused(RpcException.EIO, "the disk is gone", failed);
    assertEquals(32, bdevOf(plane, "u0").numBlocks());
  }

  @Test
  void shouldTellTheOwnerOfALimitAndTheNextOneToo() throws IOException {
    create(nullBdev("n0"));
    final BdevLimits limits = new BdevLimits(1000, 0, 0, 20);
    final CompletionStage<Void> refused = plane.setLimits("n0", limits);
    owner.answerBdev(RelayMessageType.BDEV_LIMITS, Errno.ENODEV, "no such bdev here");
    assertRefused(RpcException.ENODEV, "keeps its limits", refused);
    assertEquals(BdevLimits.NONE, bdevOf(plane, "n0").spec().limits());
    final CompletionStage<Void> set = plane.setLimits("n0", limits);
    owner.answerBdev(RelayMessageType.BDEV_LIMITS, 0, "");
    get(set);
    assertEquals(limits, bdevOf(plane, "n0").spec().limits());
    assertRefused(RpcException.ENODEV, "zz", plane.setLimits("zz", limits));
    owner.die();
    final FakeSlave successor = slave(processes.awaitStart());
    successor.hello();
    successor.expect(RelayMessageType.BDEV_ADD);
    assertEquals(limits, BdevLimits.read(successor.expect(RelayMessageType.BDEV_LIMITS)));
    successor.close();
  }

  private BdevLimits told() {
    return BdevLimits.read(owner.expect(RelayMessageType.BDEV_LIMITS));
  }

  private void throttle(final BdevLimits limits, final int limitMs) {
    final CompletionStage<Void> throttled = plane.throttle("n0", limits, limitMs);
    owner.answerBdev(RelayMessageType.BDEV_LIMITS, 0, "");
    get(throttled);
  }

  @Test
  void shouldThrottleUntilTheTimeIsOverAndNoLongerThanTheLastOneSaid() throws IOException {
    create(nullBdev("n0"));
    final BdevLimits lasting = new BdevLimits(1000, 0, 0, 20);
    final BdevLimits slow = new BdevLimits(0, 5, 0, 3);
    final CompletionStage<Void> set = plane.setLimits("n0", lasting);
    owner.answerBdev(RelayMessageType.BDEV_LIMITS, 0, "");
    get(set);
    assertEquals(lasting, told());

    throttle(slow, 60_000);
    final CompletionStage<Void> lower = plane.setLimits("n0", new BdevLimits(1000, 0, 0, 2));
    assertEquals(new BdevLimits(1000, 5, 0, 2), answered());
    get(lower);
    assertEquals(new BdevLimits(1000, 5, 0, 2), told());
    // Ends when it was said to end last, and then the operator's limits count again.
    get(plane.throttle("n0", slow, 300));
    assertEquals(new BdevLimits(1000, 0, 0, 2), told());
    assertEquals(new BdevLimits(1000, 0, 0, 2), bdevOf(plane, "n0").spec().limits());

    final CompletionStage<Void> refused = plane.throttle("n0", slow, 60_000);
    owner.answerBdev(RelayMessageType.BDEV_LIMITS, Errno.EIO, "cannot");
    assertRefused(RpcException.EIO, "cannot", refused);
    assertEquals(new BdevLimits(1000, 0, 0, 2), told());
    throttle(slow, 60_000);
    owner.die();
    final FakeSlave successor = slave(processes.awaitStart());
    successor.hello();
    successor.expect(RelayMessageType.BDEV_ADD);
    assertEquals(
        new BdevLimits(1000, 5, 0, 2),
        BdevLimits.read(successor.expect(RelayMessageType.BDEV_LIMITS)));
    successor.close();
  }

  private BdevLimits answered() {
    final RelayReader message = owner.expect(RelayMessageType.BDEV_LIMITS);
    final long id = message.id();
    final long sequence = message.sequence();
    final BdevLimits limits = BdevLimits.read(message);
    owner.answerBdev(id, sequence, 0, "");
    return limits;
  }

  @Test
  void shouldKeepWhatIsInUseAndCountIoOverTheEndOfSessions() throws IOException {
    create(nullBdev("n0"));
    get(plane.createBlkController(controller("c0", "n0")));
    assertTrue(bdevOf(plane, "n0").claimed());
    assertRefused(RpcException.EBUSY, "controller", plane.deleteBdev("n0", BdevKind.NULL));
    final FrontEndPeer guest = FrontEndPeer.connect(runDirectory.resolve("vhost").resolve("c0"));
    final long session = owner.expect(RelayMessageType.SESSION).id();
    assertRefused(RpcException.EBUSY, "connected", plane.deleteController("c0"));
    try (SessionSegment segment = SessionSegment.open(owner.segments(), session)) {
      Mem.putLong(segment.queueCounters(1) + QueueCounter.READ_OPS.offsetBytes(), 7);
      Mem.putLong(segment.queueCounters(1) + QueueCounter.READ_BYTES.offsetBytes(), 7 * 512);
    }
    assertEquals(7, ioStat("n0").readOps());
    guest.close();
    owner.expect(RelayMessageType.SESSION_CLOSE);
    owner.closed(session);
    await().until(() -> plane.controllers().get(0).sessions().isEmpty());
    assertEquals(7 * 512, ioStat("n0").bytesRead());
    get(plane.deleteController("c0"));
    assertFalse(Files.exists(runDirectory.resolve("vhost").resolve("c0")));
    assertRefused(RpcException.ENODEV, "zz", plane.ioStats(List.of("zz")));
  }

  private IoStat ioStat(final String name) {
    return get(plane.ioStats(List.of(name))).get(0);
  }

  @Test
  void shouldMakeABdevWhileTheSeatHasNoOwnerAndTellTheNextOne() throws IOException {
    owner.die();
    final int next = processes.awaitStart();
    assertEquals(BdevInfo.State.RECOVERING, get(plane.createBdev(nullBdev("n0"))).state());
    final FakeSlave successor = slave(next);
    successor.hello();
    successor.expect(RelayMessageType.BDEV_ADD);
    successor.takeSeat(0, true);
    await().until(() -> bdevOf(plane, "n0").state() == BdevInfo.State.ONLINE);
    successor.close();
  }
}

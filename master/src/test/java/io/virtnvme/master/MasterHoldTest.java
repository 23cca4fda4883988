package io.virtnvme.master;

import static io.virtnvme.master.MasterFixture.bdev;
import static io.virtnvme.master.MasterFixture.bdevOf;
import static io.virtnvme.master.MasterFixture.context;
import static io.virtnvme.master.MasterFixture.controller;
import static io.virtnvme.master.MasterFixture.get;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.virtnvme.ipc.relay.BdevHold;
import io.virtnvme.ipc.relay.RelayMessageType;
import io.virtnvme.ipc.relay.RelayReader;
import io.virtnvme.ipc.sys.Errno;
import io.virtnvme.master.registry.ConfigWriter;
import io.virtnvme.master.rpc.BdevMethod;
import io.virtnvme.master.rpc.BdevMigration;
import io.virtnvme.master.rpc.BdevMigration.State;
import io.virtnvme.master.rpc.ControlPlane;
import io.virtnvme.master.rpc.JsonText;
import io.virtnvme.master.rpc.NvmfState;
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

/** What slaves are told of a disk that stands still, and which of their answers count. */
class MasterHoldTest extends MasterRig {
  private static final int LONG_MS = 10_000;
  private static final BdevMigration MOVED = new BdevMigration(State.MOVED, new UUID(1, 2), "h:1");

  private ControlPlane plane;
  private FakeSlave owner;
  private long toldId;
  private long toldSequence;

  @BeforeEach
  void start() throws IOException {
    master = Master.launch(context(runDirectory, processes));
    plane = master.controlPlane();
    owner = slave(processes.awaitStart()).serve(0);
    awaitState(SlaveInfo.State.ACTIVE);
    final CompletionStage<?> created =
        plane.createBdev(bdev("m0", BdevMethod.MALLOC, 512, 1024, ""));
    owner.answerBdev(RelayMessageType.BDEV_ADD, 0, "");
    get(created);
  }

  @AfterEach
  void stop() {
    owner.die();
  }

  private long hold(final int limitMs) {
    final CompletionStage<Long> held = plane.holdBdev("m0", limitMs);
    answerHold();
    return get(held);
  }

  /** With all others, and once more as the last. */
  private void answerHold() {
    owner.answerBdev(RelayMessageType.BDEV_HOLD, 0, "");
    owner.answerBdev(RelayMessageType.BDEV_HOLD, 0, "");
  }

  private BdevHold told() {
    final RelayReader message = owner.expect(RelayMessageType.BDEV_HOLD);
    toldId = message.id();
    toldSequence = message.sequence();
    return BdevHold.read(message);
  }

  private static void assertRefused(final int code, final CompletionStage<?> stage) {
    final RpcException refused = assertThrows(RpcException.class, () -> get(stage));
    assertEquals(code, refused.code(), refused.getMessage());
  }

  @Test
  void shouldTellTheEndOfAHoldAndEndItInTime() {
    final long first = hold(LONG_MS);
    assertRefused(RpcException.EBUSY, plane.holdBdev("m0", LONG_MS));
    assertRefused(RpcException.ENOENT, plane.releaseBdev("m0", first + 1));
    get(plane.releaseBdev("m0", first));
    assertEquals(BdevHold.NONE, told());
    final CompletionStage<Long> held = plane.holdBdev("m0", 300);
    final BdevHold hold = told();
    assertEquals(BdevHold.Who.WRITERS, hold.who());
    assertTrue(hold.untilNs() - System.nanoTime() < 300_000_000L);
    // Nobody answers: its time is over first.
    assertEquals(BdevHold.NONE, told());
    owner.die();
    assertRefused(RpcException.EAGAIN, held);
  }

  @Test
  void shouldEndAHoldThatASlaveCannotKeep() {
    final CompletionStage<Long> held = plane.holdBdev("m0", LONG_MS);
    owner.answerBdev(RelayMessageType.BDEV_HOLD, Errno.ETIME, "requests ran for longer");
    assertRefused(RpcException.ETIMEDOUT, held);
    assertEquals(BdevHold.NONE, told());
    hold(LONG_MS);
  }

  @Test
  void shouldNotTrustADiskWhoseSlaveDiedMeanwhile() throws IOException {
    final CompletionStage<Long> held = plane.holdBdev("m0", LONG_MS);
    owner.expect(RelayMessageType.BDEV_HOLD);
    owner.die();
    assertRefused(RpcException.EAGAIN, held);
  }

  @Test
  void shouldNotMoveADiskWhoseHoldHasEnded() {
    final long hold = hold(200);
    assertEquals(BdevHold.NONE, told());
    assertRefused(RpcException.ETIMEDOUT, plane.setMigration("m0", MOVED, hold));

    final long late = hold(500);
    final CompletionStage<Void> moved = plane.setMigration("m0", MOVED, late);
    final BdevHold forGood = told();
    assertEquals(MOVED.hold(), forGood);
    final long endNs = System.nanoTime() + 600_000_000L;
    while (System.nanoTime() < endNs) {
      Thread.onSpinWait();
    }
    // The slave did it, but only after it may have let something begin.
    owner.answerBdev(toldId, toldSequence, 0, "");
    owner.answerBdev(RelayMessageType.BDEV_HOLD, 0, "");
    assertRefused(RpcException.ETIMEDOUT, moved);
    assertEquals(BdevHold.NONE, told());
    assertEquals(BdevMigration.NONE, bdevOf(plane, "m0").spec().migration());
  }

  @Test
  void shouldTellTheNextSlaveOfADiskThatWasMoved() throws IOException {
    final long hold = hold(LONG_MS);
    final CompletionStage<Void> moved = plane.setMigration("m0", MOVED, hold);
    answerHold();
    get(moved);
    assertRefused(RpcException.EBUSY, plane.holdBdev("m0", LONG_MS));
    get(plane.setMigration("m0", MOVED, 0));
    owner.die();
    final FakeSlave successor = slave(processes.awaitStart());
    successor.hello();
    successor.expect(RelayMessageType.BDEV_ADD);
    assertEquals(MOVED.hold(), BdevHold.read(successor.expect(RelayMessageType.BDEV_HOLD)));
    successor.close();
  }

  /** As if the file had gone to another host, whose registry knows nothing. */
  @Test
  void shouldNotServeADiskThatWasMovedAwayInAnInstanceMadeFromASavedConfiguration()
      throws IOException {
    final BdevMigration owned = new BdevMigration(State.OWNED, new UUID(3, 4), "h:2");
    final Path config = directory.resolve("config.json");
    Files.writeString(
        config,
        JsonText.line(
            ConfigWriter.write(
                List.of(
                    bdev("gone", BdevMethod.MALLOC, 512, 1024, "").withMigration(MOVED),
                    bdev("here", BdevMethod.MALLOC, 512, 1024, "").withMigration(owned)),
                List.of(controller("c0", "gone")),
                NvmfState.EMPTY)));
    master.close();
    final Path other = directory.resolve("other");
    for (int start = 0; start < 2; start++) {
      // The second time its registry knows, and the file changes nothing.
      master = Master.launch(context(other, processes).configFile(config));
      plane = master.controlPlane();
      assertEquals(MOVED, bdevOf(plane, "gone").spec().migration());
      assertEquals(owned, bdevOf(plane, "here").spec().migration());
      final FakeSlave slave = new FakeSlave(processes, other, processes.awaitStart());
      slave.hello();
      final RelayReader first = slave.expect(RelayMessageType.BDEV_HOLD);
      assertEquals(MOVED.hold(), BdevHold.read(first));
      slave.drain();
      assertEquals(1, slave.received().stream().filter(RelayMessageType.BDEV_HOLD::equals).count());
      slave.die();
      master.close();
      while (processes.startedCount() > 0) {
        processes.awaitStart();
      }
    }
  }
}

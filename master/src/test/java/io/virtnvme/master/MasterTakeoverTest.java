package io.virtnvme.master;

import static io.virtnvme.master.MasterFixture.context;
import static io.virtnvme.master.MasterFixture.states;
import static org.awaitility.Awaitility.await;
import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.fasterxml.jackson.databind.JsonNode;
import io.virtnvme.ipc.relay.RelayMessageType;
import io.virtnvme.ipc.relay.RelayReader;
import io.virtnvme.ipc.segment.SeatSegment;
import io.virtnvme.ipc.segment.SessionSegment;
import io.virtnvme.ipc.sys.EventFd;
import io.virtnvme.ipc.sys.Fds;
import io.virtnvme.ipc.sys.SysException;
import io.virtnvme.ipc.sys.UnixSocket;
import io.virtnvme.master.relay.FrontEndPeer;
import io.virtnvme.master.relay.MasterCounter;
import io.virtnvme.master.rpc.JsonText;
import io.virtnvme.master.rpc.RecoveryInfo;
import io.virtnvme.master.rpc.RpcClient;
import io.virtnvme.master.rpc.SlaveInfo;
import java.io.IOException;
import java.time.Duration;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.Test;

class MasterTakeoverTest extends MasterRig {
  private static final byte[] MESSAGE = FrontEndPeer.message(1, (byte) 3);

  /** More than fit a socket. */
  private static final int MESSAGES_UNREAD_MAX = 4000;

  /** A master with one slave that owns seat 0, one bdev and one controller c0. */
  private FakeSlave startWithOwner(final int standbys) throws IOException {
    return startWithOwner(context(runDirectory, processes).standbyCount(standbys));
  }

  private FakeSlave startWithOwner(final MasterContext context) throws IOException {
    master = Master.launch(context);
    final FakeSlave owner = slave(processes.awaitStart()).serve(0);
    awaitState(SlaveInfo.State.ACTIVE);
    final CompletableFuture<JsonNode> created =
        CompletableFuture.supplyAsync(
            () ->
                rpc(
                    "bdev_null_create",
                    "{\"name\": \"n0\", \"num_blocks\": 1024, \"block_size\": 512}"));
    owner.answerBdev(RelayMessageType.BDEV_ADD, 0, "");
    created.join();
    rpc("vhost_create_blk_controller", "{\"ctrlr\": \"c0\", \"dev_name\": \"n0\"}");
    return owner;
  }

  /** By RPC, so that the registry has it. */
  private JsonNode rpc(final String method, final String params) {
    try (RpcClient client =
        RpcClient.connect(runDirectory.resolve("rpc.sock"), Duration.ofSeconds(10))) {
      return client.call(method, JsonText.parse(params));
    } catch (final IOException e) {
      throw new IllegalStateException(e);
    }
  }

  private FrontEndPeer connect() {
    return FrontEndPeer.connect(runDirectory.resolve("vhost").resolve("c0"));
  }

  @Test
  void shouldGiveTheSameMessageToTheSuccessorAndAnswerOnce() throws IOException {
    final FakeSlave first = startWithOwner(0);
    final int event = EventFd.create();
    try (FrontEndPeer guest = connect()) {
      guest.send(MESSAGE, event);
      final RelayReader relayed = first.expect(RelayMessageType.RELAY);
      assertEquals(1, relayed.sequence());
      assertArrayEquals(MESSAGE, relayed.getBytes());
      assertEquals(1, relayed.fdCount());
      first.die();

      final FakeSlave second = slave(processes.awaitStart());
      second.hello();
      second.expect(RelayMessageType.SEAT);
      assertTrue(
          second.received().indexOf(RelayMessageType.BDEV_ADD)
              < second.received().indexOf(RelayMessageType.SESSION));
      assertFalse(
          second.received().contains(RelayMessageType.RELAY), "not before it owns the seat");
      second.takeSeat(0, true);
      final RelayReader again = second.expect(RelayMessageType.RELAY);
      assertEquals(1, again.sequence());
      assertArrayEquals(MESSAGE, again.getBytes());
      assertEquals(1, again.fdCount());
      second.reply(again.id(), 1, 1, new byte[] {9});
      assertArrayEquals(new byte[] {9}, guest.receive(1));
      assertTrue(guest.isSilent(50));
      assertEquals(1, master.counters().get(MasterCounter.MESSAGES_REPEATED));
      assertEquals(1, master.counters().get(MasterCounter.MESSAGES_SETTLED));
      final RecoveryInfo recovery = master.controlPlane().recoveries().get(0);
      assertEquals(first.pid(), recovery.deadPid());
      assertEquals(second.pid(), recovery.successorPid());
      assertEquals(500, recovery.totalUs());
      second.close();
    } finally {
      Fds.close(event);
    }
  }

  @Test
  void shouldListWhatASlaveMeasuredThatDiedBeforeItCouldTell() throws IOException {
    final FakeSlave first = startWithOwner(0);
    first.die();
    final FakeSlave second = slave(processes.awaitStart());
    second.hello();
    second.expect(RelayMessageType.SEAT);
    second.takeSeatOfDeadOwner(0);
    await().until(() -> master.controlPlane().recoveries().size() == 1);
    assertEquals(-1, master.controlPlane().recoveries().get(0).firstCompletionUs());
    second.measureSilently(0, first.pid());
    second.die();
    final FakeSlave third = slave(processes.awaitStart());
    third.hello();
    third.expect(RelayMessageType.SEAT);
    third.takeSeat(0, true);
    await().until(() -> master.controlPlane().recoveries().size() == 2);
    final RecoveryInfo recovery = master.controlPlane().recoveries().get(0);
    assertEquals(first.pid(), recovery.deadPid());
    assertEquals(397, recovery.firstCompletionUs());
    assertEquals(second.pid(), master.controlPlane().recoveries().get(1).deadPid());
    third.close();
  }

  @Test
  void shouldNotAskAgainWhatADyingSlaveHadAnswered() throws IOException {
    final FakeSlave first = startWithOwner(0);
    try (FrontEndPeer guest = connect()) {
      guest.send(MESSAGE);
      final RelayReader relayed = first.expect(RelayMessageType.RELAY);
      first.reply(relayed.id(), 1, 1, new byte[] {9});
      first.die();
      assertArrayEquals(new byte[] {9}, guest.receive(1));
      final FakeSlave second = slave(processes.awaitStart()).serve(0);
      assertEquals(1, second.sessions().values().iterator().next().version());
      second.drain();
      assertFalse(second.received().contains(RelayMessageType.RELAY));
      second.close();
    }
  }

  @Test
  void shouldLetAStandbyTakeTheSeatBeforeTheDeathIsKnown() throws IOException {
    final FakeSlave first = startWithOwner(1);
    final FakeSlave standby = slave(processes.awaitStart()).standBy();
    awaitState(SlaveInfo.State.STANDBY);
    try (FrontEndPeer guest = connect()) {
      guest.send(MESSAGE);
      first.expect(RelayMessageType.RELAY);
      standby.expect(RelayMessageType.SESSION);
      // The mutex is faster than the pidfd: the dead one's socket is still open.
      standby.takeSeat(0, true);
      final RelayReader again = standby.expect(RelayMessageType.RELAY);
      standby.reply(again.id(), 1, 1, new byte[] {4});
      // What the dead one says now is of no account.
      first.reply(again.id(), 1, 1, new byte[] {5});
      assertArrayEquals(new byte[] {4}, guest.receive(1));
      assertTrue(guest.isSilent(50));
      await().until(() -> processes.isDead(first.pid()));
      final int third = processes.awaitStart();
      assertEquals(0, processes.startedCount());
      final FakeSlave next = slave(third).standBy();
      assertEquals(1, next.sessions().values().iterator().next().version());
      next.close();
    }
    first.close();
    standby.close();
  }

  @Test
  void shouldIgnoreTheAnswerOfASlaveThatDoesNotOwnTheSeat() throws IOException {
    final FakeSlave owner = startWithOwner(1);
    final FakeSlave other = slave(processes.awaitStart()).hello();
    other.expect(RelayMessageType.SEAT);
    try (FrontEndPeer guest = connect()) {
      guest.send(MESSAGE);
      final long session = owner.expect(RelayMessageType.RELAY).id();
      other.reply(session, 1, 1, new byte[] {5});
      other.begin(RelayMessageType.STANDBY_READY, 0, 0);
      other.send();
      // What came before that on the same channel has been read as well.
      awaitState(SlaveInfo.State.STANDBY);
      owner.reply(session, 1, 1, new byte[] {4});
      assertArrayEquals(new byte[] {4}, guest.receive(1));
    }
    owner.close();
    other.close();
  }

  @Test
  void shouldStartASlaveWhenTheStandbyDoesNotTakeTheSeat() throws IOException {
    master =
        Master.launch(context(runDirectory, processes).standbyCount(1).takeoverNsMax(50_000_000));
    final FakeSlave owner = slave(processes.awaitStart()).serve(0);
    final FakeSlave standby = slave(processes.awaitStart()).standBy();
    awaitState(SlaveInfo.State.STANDBY);
    owner.die();
    final FakeSlave cold = slave(processes.awaitStart()).serve(0);
    awaitState(SlaveInfo.State.ACTIVE);
    standby.close();
    cold.close();
  }

  @Test
  void shouldNotWaitForAStandbyThatDiedWithTheOwner() throws IOException {
    master =
        Master.launch(
            context(runDirectory, processes)
                .standbyCount(1)
                .takeoverNsMax(TimeUnit.HOURS.toNanos(1)));
    final FakeSlave owner = slave(processes.awaitStart()).serve(0);
    final FakeSlave standby = slave(processes.awaitStart()).standBy();
    awaitState(SlaveInfo.State.STANDBY);
    owner.die();
    await().until(() -> !states(master.controlPlane()).contains(SlaveInfo.State.ACTIVE));
    standby.die();
    final FakeSlave cold = slave(processes.awaitStart()).serve(0);
    awaitState(SlaveInfo.State.ACTIVE);
    cold.close();
  }

  @Test
  void shouldShareEveryNewRecordWithStandbysBeforeTheReply() throws IOException {
    final FakeSlave owner = startWithOwner(1);
    final FakeSlave standby = slave(processes.awaitStart()).standBy();
    try (FrontEndPeer guest = connect()) {
      guest.send(MESSAGE);
      final RelayReader relayed = owner.expect(RelayMessageType.RELAY);
      final long session = relayed.id();
      owner.reply(session, 1, 1, new byte[] {1});
      guest.receive(1);
      standby.drain();
      assertEquals(1, standby.sessions().get(session).version());
      standby.begin(RelayMessageType.SESSION_FAILED, session, 0).putString("cannot map it");
      standby.send();
      owner.drain();
      owner.die();
      standby.takeSeat(0, true);
      // It is told again, now that it needs the session.
      standby.expect(RelayMessageType.SESSION);
      assertTrue(guest.isSilent(20));
    }
    standby.close();
  }

  @Test
  void shouldCloseASessionOnlyWhenEverySlaveForgotIt() throws IOException {
    final FakeSlave owner = startWithOwner(1);
    final FakeSlave standby = slave(processes.awaitStart()).standBy();
    final FrontEndPeer guest = connect();
    final long session = owner.expect(RelayMessageType.SESSION).id();
    standby.expect(RelayMessageType.SESSION);
    guest.close();
    owner.expect(RelayMessageType.SESSION_CLOSE);
    standby.expect(RelayMessageType.SESSION_CLOSE);
    try (FrontEndPeer again = connect()) {
      again.send(MESSAGE);
      owner.closed(session);
      owner.drain();
      assertFalse(owner.received().contains(RelayMessageType.RELAY));
      standby.die();
      assertEquals(2, owner.expect(RelayMessageType.RELAY).id());
    }
    owner.close();
  }

  @Test
  void shouldAdoptSlavesAndSessionsOfADeadMaster() throws Exception {
    final FakeSlave owner =
        startWithOwner(context(runDirectory, processes).standbyCount(1).leaveSlavesOnStop(true));
    final FakeSlave standby = slave(processes.awaitStart()).standBy();
    try (FrontEndPeer guest = connect()) {
      guest.send(MESSAGE);
      final RelayReader relayed = owner.expect(RelayMessageType.RELAY);
      final long session = relayed.id();
      owner.reply(session, 1, 1, new byte[] {1});
      guest.receive(1);
      guest.send(FrontEndPeer.message(2));
      owner.expect(RelayMessageType.RELAY);
      standby.drain();
      final FakeSlave.Held held = owner.sessions().get(session);
      owner
          .sessions()
          .put(session, new FakeSlave.Held(held.description(), 1, List.of(), held.fds()));
      // Leaves everything as a SIGKILL does, but for the lock, which the kernel frees then.
      master.close();
      owner.disconnect();
      standby.disconnect();

      final CompletableFuture<Master> launched =
          CompletableFuture.supplyAsync(
              () -> Master.launch(context(runDirectory, processes).standbyCount(1)));
      await().until(this::isListening);
      owner.handBack(false, 0);
      // Nothing happens before everybody has spoken; no standby takes the place of the slow one.
      assertTrue(guest.isSilent(50));
      standby.handBack(true);
      master = launched.get(20, TimeUnit.SECONDS);
      final RelayReader again = owner.expect(RelayMessageType.RELAY);
      assertEquals(2, again.sequence());
      owner.reply(session, 2, 2, new byte[] {2});
      assertArrayEquals(new byte[] {2}, guest.receive(1));
      assertEquals(0, processes.startedCount());
      assertTrue(master.controlPlane().master().adopted());
      assertEquals(1, master.controlPlane().controllers().get(0).sessions().size());
      assertEquals(
          List.of(SlaveInfo.State.ACTIVE, SlaveInfo.State.STANDBY), states(master.controlPlane()));
      standby.drain();
      assertEquals(2, standby.sessions().get(session).version());
      try (SessionSegment segment = SessionSegment.open(owner.segments(), session)) {
        await().until(() -> segment.settledSequence() == 2);
      }
    }
    owner.close();
    standby.close();
  }

  /** The owner answered the new master, and died before its standby had come back. */
  @Test
  void shouldBringASuccessorUpToDateThatHandsAnOlderRecordBack() throws Exception {
    final FakeSlave owner =
        startWithOwner(context(runDirectory, processes).standbyCount(1).leaveSlavesOnStop(true));
    final FakeSlave standby = slave(processes.awaitStart()).standBy();
    try (FrontEndPeer guest = connect()) {
      guest.send(MESSAGE);
      final long session = owner.expect(RelayMessageType.RELAY).id();
      owner.reply(session, 1, 1, new byte[] {1});
      guest.receive(1);
      standby.drain();
      owner.drain();
      master.close();
      owner.disconnect();
      standby.disconnect();
      guest.send(FrontEndPeer.message(2));
      final CompletableFuture<Master> launched =
          CompletableFuture.supplyAsync(
              () -> Master.launch(context(runDirectory, processes).standbyCount(1)));
      await().until(this::isListening);
      owner.handBack(false, 0);
      owner.expect(RelayMessageType.RELAY);
      owner.reply(session, 2, 2, new byte[] {2});
      guest.receive(1);
      owner.die();
      try (SeatSegment segment = SeatSegment.open(standby.segments(), 0)) {
        segment.takeOwnership(standby.pid());
      }
      assertEquals(1, standby.sessions().get(session).version());
      guest.send(FrontEndPeer.message(3));
      standby.handBack(true, 0);
      assertEquals(3, standby.expect(RelayMessageType.RELAY).sequence());
      assertEquals(2, standby.sessions().get(session).version(), "before it is asked anything");
      master = launched.get(20, TimeUnit.SECONDS);
    }
    standby.close();
  }

  /** Its socket is full, so copies of the record wait in a process that may be killed. */
  @Test
  void shouldTellAFrontEndNothingThatAStandbyCouldMiss() throws IOException {
    final FakeSlave owner =
        startWithOwner(context(runDirectory, processes).standbyCount(1).leaveSlavesOnStop(true));
    final FakeSlave standby = slave(processes.awaitStart()).standBy();
    try (FrontEndPeer guest = connect()) {
      final long session = owner.expect(RelayMessageType.SESSION).id();
      long told = 0;
      boolean silent = false;
      while (!silent && told < MESSAGES_UNREAD_MAX) {
        guest.send(FrontEndPeer.message(1));
        owner.expect(RelayMessageType.RELAY);
        owner.reply(session, told + 1, told + 1, new byte[] {1});
        silent = guest.isSilent(told == 0 ? 5000 : 200);
        if (!silent) {
          guest.receive(1);
          told++;
        }
      }
      assertTrue(silent && told > 0, "told=" + told);
      master.close();
      standby.drain();
      assertTrue(standby.sessions().get(session).version() >= told, "told=" + told);
    }
    owner.close();
    standby.close();
  }

  @Test
  void shouldNotLetANewcomerWaitForASeatThatIsNotHandedBackYet() throws Exception {
    final FakeSlave owner =
        startWithOwner(context(runDirectory, processes).leaveSlavesOnStop(true));
    try (FrontEndPeer guest = connect()) {
      guest.send(MESSAGE);
      final long session = owner.expect(RelayMessageType.RELAY).id();
      owner.reply(session, 1, 1, new byte[] {1});
      guest.receive(1);
      master.close();
      owner.disconnect();
      final CompletableFuture<Master> launched =
          CompletableFuture.supplyAsync(() -> Master.launch(context(runDirectory, processes)));
      await().until(this::isListening);
      // Started by the dead master, and quicker than the owner.
      final FakeSlave newcomer = slave(processes.create()).hello();
      newcomer.expect(RelayMessageType.WELCOME);
      owner.handBack(false, 0);
      newcomer.expect(RelayMessageType.SEAT);
      assertTrue(newcomer.received().contains(RelayMessageType.SESSION), "a seat with its session");
      master = launched.get(20, TimeUnit.SECONDS);
      newcomer.close();
    }
    owner.close();
  }

  private boolean isListening() {
    final int stranger = processes.create();
    processes.connecting(stranger);
    try {
      Fds.close(UnixSocket.connectSeqPacket(runDirectory.resolve("slaves.sock").toString()));
      return true;
    } catch (final SysException e) {
      processes.notConnecting(stranger);
      return false;
    } finally {
      processes.die(stranger);
    }
  }

  @Test
  void shouldReplaceALivingSlaveThatDoesNotComeBack() throws IOException {
    final FakeSlave owner =
        startWithOwner(context(runDirectory, processes).leaveSlavesOnStop(true));
    master.close();
    owner.disconnect();
    master = Master.launch(context(runDirectory, processes).adoptionNsMax(200_000_000));
    assertTrue(processes.isDead(owner.pid()));
    final FakeSlave next = slave(processes.awaitStart()).serve(0);
    awaitState(SlaveInfo.State.ACTIVE);
    next.close();
  }

  @Test
  void shouldNotTakeItsOwnDelayForThatOfASlave() throws Exception {
    final long limitNs = 500_000_000;
    final FakeSlave owner =
        startWithOwner(context(runDirectory, processes).leaveSlavesOnStop(true));
    master.close();
    owner.disconnect();
    processes.listingTakesNs(3 * limitNs);
    final CompletableFuture<Master> launched =
        CompletableFuture.supplyAsync(
            () -> Master.launch(context(runDirectory, processes).adoptionNsMax(limitNs)));
    await().until(this::isListening);
    owner.handBack(false, 0);
    master = launched.get(20, TimeUnit.SECONDS);
    awaitState(SlaveInfo.State.ACTIVE);
    assertFalse(processes.isDead(owner.pid()));
    owner.close();
  }
}

package io.virtnvme.master.supervisor;

import com.fasterxml.jackson.databind.node.JsonNodeFactory;
import com.fasterxml.jackson.databind.node.ObjectNode;
import io.virtnvme.ipc.relay.BdevDescription;
import io.virtnvme.ipc.relay.DeviceDescription;
import io.virtnvme.ipc.relay.FormatVersions;
import io.virtnvme.ipc.relay.RelayFormatException;
import io.virtnvme.ipc.relay.RelayMessageType;
import io.virtnvme.ipc.relay.RelayReader;
import io.virtnvme.ipc.segment.TakeoverReport;
import io.virtnvme.master.registry.DesiredState;
import io.virtnvme.master.relay.EventLoop;
import io.virtnvme.master.relay.FrontEndSession;
import io.virtnvme.master.relay.Listener;
import io.virtnvme.master.relay.MasterCounters;
import io.virtnvme.master.relay.Relay;
import io.virtnvme.master.rpc.BdevSpec;
import io.virtnvme.master.rpc.BlkControllerSpec;
import io.virtnvme.master.rpc.RpcException;
import io.virtnvme.master.rpc.UpgradeInfo;
import io.virtnvme.master.rpc.UpgradeSpec;
import java.io.IOException;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.Executor;
import java.util.function.BiConsumer;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Puts the parts together and carries events from one to the other: what a slave says, what becomes
 * of it, and what follows for seats, sessions and bdevs. Conductor thread.
 */
public final class Supervisor implements Slaves.Events, Seats.Actions {
  private static final Logger LOG = LoggerFactory.getLogger(Supervisor.class);

  private final SupervisorConfig config;
  private final EventLoop loop;
  private final MasterCounters counters;
  private final RecentEvents history;
  private final Slaves slaves;
  private final Seats seats;
  private final SlaveRequests requests;
  private final DirtyTracking tracking;
  private final Bdevs bdevs;
  private final Holds holds;
  private final Throttles throttles;
  private final Sharing sharing;
  private final Relay relay;
  private final Controllers controllers;
  private final NamespaceNews namespaceNews;
  private final Subsystems subsystems;
  private final Devices devices;
  private final RecoveryLog recoveries;
  private final HungSlaves hungSlaves;
  private final Watchdog watchdog;
  private final Adoption adoption;
  private final Shutdown shutdown;
  private final Upgrade upgrade;
  private final CompletableFuture<Void> adopted = new CompletableFuture<>();

  /** Started by the master before, and connected while others still hand back. */
  private final List<Slave> newcomers = new ArrayList<>();

  private Listener slaveListener;
  private boolean changed = true;

  /**
   * Prepares everything and starts nothing.
   *
   * @param fileThread for work on files that may take long
   * @param history takes events: type and particulars
   */
  public Supervisor(
      final SupervisorConfig config,
      final EventLoop loop,
      final MasterCounters counters,
      final Executor fileThread,
      final BiConsumer<String, ObjectNode> history) {
    this.config = config;
    this.loop = loop;
    this.counters = counters;
    this.history = new RecentEvents(history);
    slaves = new Slaves(config, loop, counters, this);
    seats = new Seats(config, loop, counters, slaves, this);
    requests = new SlaveRequests(config.answerNsMax(), loop, slaves, seats);
    final BdevFiles files = new BdevFiles(config.segments());
    tracking = new DirtyTracking(config.segments(), loop, fileThread, files, requests);
    bdevs = new Bdevs(loop, counters, fileThread, seats, files, requests, tracking);
    holds = new Holds(requests, loop);
    throttles = new Throttles(requests, loop);
    sharing = new Sharing(slaves, seats, bdevs, counters);
    relay = new Relay(loop, config.segments(), counters, sharing);
    sharing.relay(relay);
    controllers =
        new Controllers(
            loop,
            config.runDirectory().resolve("vhost"),
            bdevs,
            seats,
            relay,
            config.descriptorStore(),
            counters);
    namespaceNews = new NamespaceNews(loop, config.answerNsMax(), slaves, seats);
    subsystems =
        new Subsystems(
            loop,
            bdevs,
            seats,
            relay,
            config.descriptorStore(),
            namespaceNews,
            controllers::isExported,
            this::touch);
    controllers.isNamespace(bdevName -> subsystems.userOf(bdevName) != null);
    devices =
        new Devices(
            config,
            loop,
            slaves,
            seats,
            bdevs,
            name -> controllers.isExported(name) || subsystems.userOf(name) != null,
            new DeviceReports(
                counters, (type, reason) -> record(type, null, Seat.NONE, reason), this::touch));
    sharing.onSessionEnded(
        session -> {
          namespaceNews.onEnded(session.id());
          touch();
        });
    recoveries = new RecoveryLog(relay, this.history);
    hungSlaves =
        new HungSlaves(config, loop, counters, slaves, recoveries, this.history, this::touch);
    watchdog = new Watchdog(config, loop, counters, seats, hungSlaves);
    adoption = new Adoption(config, loop, seats, slaves, this::onAdoptionDone);
    shutdown = new Shutdown(config, loop, slaves, seats);
    upgrade = new Upgrade(config, loop, counters, slaves, seats, relay, this);
  }

  /**
   * Opens the seats, listens for slaves, and begins to adopt or to start them.
   *
   * @throws IOException when a segment or the socket cannot be made
   */
  public void start() throws IOException {
    seats.open();
    for (final long id : Segments.sessionIds(config.segments())) {
      relay.reserveId(id);
    }
    slaveListener =
        Listener.seqPacket(loop, config.runDirectory().resolve("slaves.sock"), slaves::onConnected);
    adoption.start();
    watchdog.start();
  }

  private void onAdoptionDone() {
    // Nobody can hand these back any more: every slave has spoken or is dead.
    Segments.deleteSessionsExcept(config.segments(), id -> relay.session(id) != null);
    for (final FrontEndSession session : List.copyOf(relay.sessions())) {
      relay.resume(session);
    }
    newcomers.stream().filter(slave -> slave.state().isLive()).forEach(seats::assign);
    newcomers.clear();
    seats.fillVacant();
    touch();
    adopted.complete(null);
  }

  /** Completes when every living slave was heard; seats without one are being filled then. */
  public CompletableFuture<Void> adopted() {
    return adopted;
  }

  /** Brings back what the registry says should exist; completes on the conductor. */
  public CompletableFuture<Void> restore(final DesiredState state) {
    devices.settings(state.nvmeSettings());
    CompletableFuture<Void> made = CompletableFuture.completedFuture(null);
    for (final BdevSpec spec : state.bdevs()) {
      made = made.thenCompose(done -> bdevs.restore(spec));
    }
    return made.thenCompose(done -> devices.restore().all(state.nvme()))
        .thenAccept(
            done -> {
              for (final BlkControllerSpec spec : state.controllers()) {
                controllers.restore(spec);
              }
              subsystems.restore(state.nvmf());
              touch();
            });
  }

  /**
   * One turn of the conductor.
   *
   * @return true when work may be waiting, so that the caller does not
   */
  public boolean doWork() {
    return relay.doWork();
  }

  /** Something that the control plane shows is different now. */
  void touch() {
    changed = true;
  }

  boolean takeChanged() {
    final boolean was = changed;
    changed = false;
    return was;
  }

  Slaves slaves() {
    return slaves;
  }

  Seats seats() {
    return seats;
  }

  Bdevs bdevs() {
    return bdevs;
  }

  DirtyTracking tracking() {
    return tracking;
  }

  Holds holds() {
    return holds;
  }

  Throttles throttles() {
    return throttles;
  }

  Controllers controllers() {
    return controllers;
  }

  Subsystems subsystems() {
    return subsystems;
  }

  Devices devices() {
    return devices;
  }

  Relay relay() {
    return relay;
  }

  /** Moves everything to another build, and notes begin and end in the history. */
  CompletableFuture<UpgradeInfo> startUpgrade(final UpgradeSpec spec) {
    final CompletableFuture<UpgradeInfo> done = upgrade.start(spec);
    record("upgrade_started", null, Seat.NONE, String.join(" ", spec.command()));
    touch();
    return done.whenComplete(
        (info, failure) -> {
          touch();
          record(
              failure == null ? "upgrade_done" : "upgrade_failed",
              null,
              Seat.NONE,
              failure == null ? "build " + info.build() : String.valueOf(failure.getMessage()));
        });
  }

  /**
   * Whether a master with these formats may come after this one.
   *
   * @throws RpcException when it may not, or not now
   */
  public void checkReplacement(final FormatVersions formats) {
    upgrade.checkReplacement(formats);
  }

  RecoveryLog recoveries() {
    return recoveries;
  }

  SupervisorConfig config() {
    return config;
  }

  MasterCounters counters() {
    return counters;
  }

  EventLoop loop() {
    return loop;
  }

  private void record(final String type, final Slave slave, final int seat, final String reason) {
    history.accept(
        type,
        JsonNodeFactory.instance
            .objectNode()
            .put("slave", slave == null ? 0 : slave.id())
            .put("pid", slave == null ? 0 : slave.pid())
            .put("seat", seat)
            .put("reason", reason));
  }

  // What slaves say.

  @Override
  public void onIntroduced(final Slave slave, final List<Integer> ownedSeats) {
    touch();
    for (final int seat : ownedSeats) {
      if (seats.seat(seat) == null) {
        throw new RelayFormatException("it owns seat " + seat + ", which does not exist");
      }
    }
    final String misfit = slave.isAdopting() ? null : upgrade.misfit(slave.formats());
    if (misfit != null) {
      slaves.kill(slave, misfit);
    } else if (slave.isAdopting()) {
      slave.claimedSeats().addAll(ownedSeats);
      seats.all().forEach(seat -> slave.watchedSeats().add(seat.id()));
    } else if (!ownedSeats.isEmpty()) {
      throw new RelayFormatException("a new slave owns seats: " + ownedSeats);
    } else if (adoption.isDone()) {
      seats.assign(slave);
    } else {
      // Disks and sessions that are yet to be handed back must reach it before their seat does.
      newcomers.add(slave);
    }
  }

  @Override
  public void onBdevHeld(
      final Slave slave, final long bdevId, final BdevDescription description, final int seat) {
    bdevs.onHeld(bdevId, description, seat);
    touch();
  }

  @Override
  public void onDeviceHeld(final Slave slave, final RelayReader message) {
    final DeviceDescription description = DeviceDescription.read(message);
    if (!slave.isAdopting() || message.fdCount() != 2) {
      throw new RelayFormatException(
          "bad device: "
              + description
              + " descriptors="
              + message.fdCount()
              + " adopting="
              + slave.isAdopting());
    }
    devices.restore().onHeld(description, message.takeFds());
    touch();
  }

  @Override
  public void onSession(final Slave slave, final RelayReader message) {
    sharing.onHandedBack(slave, message);
    touch();
  }

  @Override
  public void onAdopted(final Slave slave, final boolean warm) {
    slave.adopted();
    for (final int seatId : slave.claimedSeats()) {
      final Seat seat = seats.seat(seatId);
      if (seat.owner() != slave && seat.segment().ownerPid() == slave.pid()) {
        seats.onTaken(slave, seat, seat.segment().epoch());
      }
    }
    slave.claimedSeats().clear();
    if (warm) {
      seats.onStandbyReady(slave);
    }
    for (final Seat seat : seats.all()) {
      if (seat.owner() != slave && seat.state() != SeatState.FAILED) {
        tellSeat(slave, seat, false);
      }
    }
    record("slave_adopted", slave, slave.intendedSeat(), "the master was started again");
    touch();
  }

  @Override
  public void onStandbyReady(final Slave slave) {
    seats.onStandbyReady(slave);
    touch();
  }

  @Override
  public void onUnwatched(final Slave slave, final int seat) {
    upgrade.onUnwatched(slave, seat);
  }

  @Override
  public void onSeatTaken(final Slave slave, final int seatId, final long epoch) {
    final Seat seat = seats.seat(seatId);
    if (seat == null) {
      throw new RelayFormatException("it took seat " + seatId + ", which does not exist");
    }
    final boolean isLate = epoch < seat.epoch() || (epoch == seat.epoch() && seat.owner() != null);
    if (seat.owner() != slave && isLate) {
      return;
    }
    if (seat.owner() != slave) {
      if (seat.owner() != null) {
        slaves.drain(seat.owner());
      }
      seats.onTaken(slave, seat, epoch);
      final TakeoverReport report = seat.segment().takeover(epoch);
      record("seat_taken", slave, seatId, report != null && report.warm() ? "warm" : "cold");
    }
    recoveries.onSeatTaken(seat, epoch, slave);
    touch();
  }

  @Override
  public void onBdevResult(
      final Slave slave,
      final long bdevId,
      final long sequence,
      final int errno,
      final String text,
      final long blockCount) {
    if (!requests.onResult(slave, sequence, errno, text, blockCount)) {
      bdevs.onNews(slave, bdevId, errno, text);
    }
    touch();
  }

  @Override
  public void onAnswer(final Slave slave, final RelayReader message) {
    sharing.onAnswer(slave, message);
  }

  @Override
  public void onSessionPrepared(final Slave slave, final long sessionId, final long recordVersion) {
    sharing.onPrepared(slave, sessionId, recordVersion);
  }

  @Override
  public void onSessionClosed(final Slave slave, final long sessionId) {
    sharing.onClosed(slave, sessionId);
    touch();
  }

  @Override
  public void onSessionFailed(final Slave slave, final long sessionId, final String reason) {
    sharing.onFailed(slave, sessionId, reason);
    touch();
  }

  @Override
  public void onNamespacesSet(final Slave slave, final long sessionId, final long sequence) {
    namespaceNews.onSet(slave, sessionId, sequence);
  }

  @Override
  public void onDead(final Slave slave, final SlaveState before) {
    record("slave_ended", slave, slave.intendedSeat(), "state before: " + before);
    sharing.onDead(slave);
    requests.onDead(slave);
    devices.shares().onDead(slave);
    namespaceNews.onDead(slave);
    upgrade.onDead(slave);
    seats.onDead(slave);
    shutdown.onDead(slave);
    touch();
  }

  // What is decided about seats.

  @Override
  public void tellSeat(final Slave slave, final Seat seat, final boolean take) {
    slave.watchedSeats().add(seat.id());
    devices.shares().tell(slave);
    bdevs.tellSeat(slave, seat.id());
    sharing.tellSeat(slave, seat);
    slaves.tell(
        slave,
        channel -> {
          final var writer =
              channel
                  .begin(RelayMessageType.SEAT, seat.id(), 0)
                  .putInt(take ? 1 : 0)
                  .putInt(seat.cores().size());
          seat.cores().forEach(writer::putInt);
          return true;
        });
  }

  @Override
  public void onOwned(final Seat seat, final Slave owner) {
    devices.shares().tell(owner);
    bdevs.tellSeat(owner, seat.id());
    sharing.onOwned(seat, owner);
  }

  @Override
  public void onFailed(final Seat seat) {
    record("seat_failed", null, seat.id(), seat.reason());
    touch();
  }

  // The end.

  /**
   * Ends every slave in good order, then lets go of everything; completes on the conductor.
   * Segments and the run directory are the caller's to remove.
   */
  public CompletableFuture<Void> stop() {
    LOG.info("stopping {} slave(s)", slaves.all().size());
    upgrade.stop();
    return shutdown
        .start()
        .thenCompose(done -> devices.close())
        .thenAccept(
            done -> {
              controllers.close(true);
              subsystems.close(true);
              release();
              slaveListener.close();
            });
  }

  /** Lets go of everything and leaves slaves and guests as they are, for a successor to adopt. */
  public void leave() {
    upgrade.stop();
    seats.stop();
    controllers.close(false);
    subsystems.close(false);
    devices.leave();
    slaveListener.stop();
    release();
  }

  private void release() {
    hungSlaves.close();
    relay.close();
    slaves.release();
    seats.close();
  }
}

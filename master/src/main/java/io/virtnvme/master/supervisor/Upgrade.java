package io.virtnvme.master.supervisor;

import io.virtnvme.ipc.relay.FormatVersions;
import io.virtnvme.ipc.relay.RelayMessageType;
import io.virtnvme.master.relay.EventLoop;
import io.virtnvme.master.relay.FrontEndSession;
import io.virtnvme.master.relay.MasterCounter;
import io.virtnvme.master.relay.MasterCounters;
import io.virtnvme.master.relay.Relay;
import io.virtnvme.master.rpc.RpcException;
import io.virtnvme.master.rpc.UpgradeInfo;
import io.virtnvme.master.rpc.UpgradeSpec;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.TimeUnit;
import java.util.stream.Collectors;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Moves every seat to slaves of another build, one owner after the other, each as in a takeover:
 *
 * <pre>
 *  IDLE --> CHECKING --> CLEARING --> MOVING --> CHECKING (next owner) ... --> IDLE
 * </pre>
 *
 * <p>What fails before the first CLEARING ends the upgrade with nothing changed. What fails later
 * turns it round: the target is the build that ran before, whose standbys were kept warm, and the
 * same steps lead back. Conductor thread.
 */
final class Upgrade {
  private static final Logger LOG = LoggerFactory.getLogger(Upgrade.class);
  private static final long INTERVAL_NS = TimeUnit.MILLISECONDS.toNanos(5);

  /** A waiting thread looks once a second whether it is to leave. */
  private static final long CLEAR_NS_MAX = TimeUnit.SECONDS.toNanos(5);

  private final SupervisorConfig config;
  private final EventLoop loop;
  private final MasterCounters counters;
  private final Slaves slaves;
  private final Seats seats;
  private final Relay relay;
  private final Seats.Actions actions;

  private UpgradeState state = UpgradeState.IDLE;
  private UpgradeSpec spec;
  private Launch before;
  private Launch fresh;
  private boolean backwards;
  private boolean touched;
  private String failure;
  private int failureCode;
  private CompletableFuture<UpgradeInfo> result;
  private EventLoop.Timer timer;
  private long deadlineNs;
  private final List<UpgradeInfo.Move> moves = new ArrayList<>();

  /** The owner that was told to let go, and what it owned then. */
  private Slave leaver;

  private List<Integer> leftSeats = List.of();
  private long askedNs;
  private boolean killed;
  private boolean noted;

  Upgrade(
      final SupervisorConfig config,
      final EventLoop loop,
      final MasterCounters counters,
      final Slaves slaves,
      final Seats seats,
      final Relay relay,
      final Seats.Actions actions) {
    this.config = config;
    this.loop = loop;
    this.counters = counters;
    this.slaves = slaves;
    this.seats = seats;
    this.relay = relay;
    this.actions = actions;
  }

  /**
   * Begins; the answer comes when everything runs on the other build, or as a failure when nothing
   * was moved or everything is back.
   *
   * @throws RpcException when one is under way
   */
  CompletableFuture<UpgradeInfo> start(final UpgradeSpec newSpec) {
    if (state != UpgradeState.IDLE) {
      throw new RpcException(
          RpcException.EBUSY, "an upgrade is under way: wait until it has ended");
    }
    spec = newSpec;
    before = slaves.launch();
    fresh = slaves.newLaunch(spec.command().isEmpty() ? config.slaveCommand() : spec.command());
    backwards = false;
    touched = false;
    failure = null;
    moves.clear();
    result = new CompletableFuture<>();
    state(UpgradeState.CHECKING, spec.warmNs());
    seats.forgetFailures();
    for (int i = 0; i < Math.max(1, config.standbyCount()); i++) {
      final Slave candidate = slaves.start(Seat.NONE, fresh);
      if (candidate == null) {
        fail(
            RpcException.EIO,
            "a slave of the other build cannot be started; look at the master's log");
        return result;
      }
      candidate.candidate(true);
    }
    schedule();
    return result;
  }

  boolean isRunning() {
    return state != UpgradeState.IDLE;
  }

  /**
   * Whether a master with these formats may come after this one.
   *
   * @throws RpcException when it may not, or not now
   */
  void checkReplacement(final FormatVersions formats) {
    if (isRunning()) {
      throw new RpcException(
          RpcException.EBUSY, "the slaves are being upgraded: wait until that has ended");
    }
    final String problem = misfit(formats);
    if (problem != null) {
      throw new RpcException(RpcException.ENOTSUP, "nothing was moved: " + problem);
    }
  }

  /**
   * Why a new slave must not be given what runs, or null: it could not read what the master or an
   * owner wrote, or the other way round when a build comes back.
   */
  String misfit(final FormatVersions formats) {
    String problem = FormatVersions.shared().problem(formats);
    for (final Seat seat : seats.all()) {
      if (problem == null && seat.owner() != null && seat.owner().formats() != null) {
        problem = seat.owner().formats().problem(formats);
      }
    }
    return problem;
  }

  /** No more steps: everything stays as it is at this moment. */
  void stop() {
    if (isRunning()) {
      timer.cancel();
      state(UpgradeState.IDLE, 0);
      result.completeExceptionally(
          new RpcException(RpcException.INVALID_STATE, "the master stops in the middle of it"));
    }
  }

  private void state(final UpgradeState newState, final long limitNs) {
    if (!state.mayBecome(newState)) {
      throw new IllegalStateException("an upgrade cannot go from " + state + " to " + newState);
    }
    LOG.info("upgrade{}: {} -> {}", backwards ? ", rolling back" : "", state, newState);
    state = newState;
    deadlineNs = loop.nowNs() + limitNs;
  }

  private void schedule() {
    timer =
        loop.after(
            INTERVAL_NS,
            () -> {
              step();
              if (isRunning()) {
                schedule();
              }
            });
  }

  /** Whether the slave is of the build that is to serve in the end. */
  private boolean isTarget(final Slave slave) {
    return (slave.generation() == fresh.generation()) != backwards;
  }

  private void step() {
    switch (state) {
      case CHECKING -> {
        if (slaves.all().stream().anyMatch(this::isReady) && everySeatIsSettled()) {
          state(UpgradeState.CLEARING, CLEAR_NS_MAX);
          clear();
        } else if (isLate()) {
          fail(
              RpcException.ETIMEDOUT,
              "its standby is not ready to take over in " + millis(spec.warmNs()) + " ms");
        } else {
          ensureStandby();
        }
      }
      case CLEARING -> {
        if (isLate()) {
          killThoseThatDoNotLeave();
        } else if (slaves.all().stream().noneMatch(Slave::isLeaving)) {
          moveNext();
        }
      }
      case MOVING -> awaitMove();
      case IDLE -> {}
    }
  }

  private boolean isLate() {
    return loop.nowNs() - deadlineNs > 0;
  }

  private static long millis(final long ns) {
    return TimeUnit.NANOSECONDS.toMillis(ns);
  }

  // CHECKING

  /** Warm, waiting for every seat, with every session mapped as it is now. */
  private boolean isReady(final Slave slave) {
    if (!isTarget(slave)
        || slave.state() != SlaveState.STANDBY
        || !slave.isStandby()
        || !slave.isReachable()
        || slave.isRejoining()) {
      return false;
    }
    for (final Seat seat : seats.all()) {
      if (seat.state() == SeatState.OWNED && !slave.waitsFor(seat.id())) {
        return false;
      }
    }
    for (final FrontEndSession session : relay.sessions()) {
      final Long prepared = slave.preparedSessions().get(session.id());
      if (session.state().isOpen() && (prepared == null || prepared < session.recordVersion())) {
        return false;
      }
    }
    return true;
  }

  private boolean everySeatIsSettled() {
    return seats.all().stream()
        .allMatch(seat -> seat.state() == SeatState.OWNED || seat.state() == SeatState.FAILED);
  }

  /** The usual care for standbys may be off ({@code --standby 0}), or given up. */
  private void ensureStandby() {
    final boolean any =
        slaves.all().stream().anyMatch(slave -> isTarget(slave) && slave.isStandby());
    if (!any && everySeatIsSettled() && slaves.start(Seat.NONE, target()) == null) {
      fail(RpcException.EIO, "a standby cannot be started; look at the master's log");
    }
  }

  private Launch target() {
    return backwards ? before : fresh;
  }

  // CLEARING

  /** From here on new slaves are of the target's build, and only its standbys wait for seats. */
  private void clear() {
    touched = true;
    slaves.launch(target());
    for (final Slave slave : List.copyOf(slaves.all())) {
      if (isTarget(slave)) {
        slave.candidate(false);
      } else if (slave.isStandby() && slave.state() == SlaveState.STARTING) {
        slave.askedToEnd();
        slaves.kill(slave, "an upgrade began before it was warm");
      } else if (slave.isStandby()) {
        slave.park();
      }
      if (slave.isReachable() && !(isTarget(slave) && slave.isStandby())) {
        slave.awaitedSeats().forEach(seat -> tellToLeave(slave, seat));
      }
    }
  }

  private void tellToLeave(final Slave slave, final int seat) {
    slave.leaves(seat);
    slaves.tell(
        slave,
        channel -> {
          channel.begin(RelayMessageType.UNWATCH, seat, 0);
          return true;
        });
  }

  /** A slave says that none of its threads waits for the seat. */
  void onUnwatched(final Slave slave, final int seat) {
    slave.hasLeft(seat);
  }

  private void killThoseThatDoNotLeave() {
    for (final Slave slave : List.copyOf(slaves.all())) {
      if (slave.isLeaving() && slave.ownedSeats().isEmpty()) {
        slave.askedToEnd();
        slaves.kill(slave, "it does not leave a seat that another build is to take");
      }
      // One that serves goes on; should it take the seat, it is asked to let go of that too.
      slave.stayed();
    }
  }

  // MOVING

  private Slave nextToMove() {
    for (final Seat seat : seats.all()) {
      final Slave owner = seat.owner();
      if (seat.state() == SeatState.OWNED && owner != null && !isTarget(owner)) {
        return owner;
      }
    }
    return null;
  }

  private void moveNext() {
    leaver = nextToMove();
    if (leaver == null) {
      finish();
      return;
    }
    leftSeats = List.copyOf(leaver.ownedSeats());
    askedNs = loop.nowNs();
    killed = false;
    noted = false;
    state(UpgradeState.MOVING, spec.drainNs() + spec.moveNs());
    slaves.shutDown(leaver, "another build takes over");
  }

  private void awaitMove() {
    final long nowNs = loop.nowNs();
    boolean taken = true;
    boolean served = true;
    for (final int id : leftSeats) {
      final Seat seat = seats.seat(id);
      if (seat.state() == SeatState.FAILED) {
        fail(RpcException.EIO, "seat " + id + " was given up: " + seat.reason());
        return;
      }
      final Slave owner = seat.owner();
      final boolean moved = owner != null && isTarget(owner) && owner.state() == SlaveState.ACTIVE;
      taken &= moved;
      served &= moved && nowNs - owner.servingSinceNs() >= config.serviceNsMin();
    }
    if (taken && !noted) {
      noted = true;
      noteMove();
    }
    final boolean gone = leaver.state() == SlaveState.GONE;
    if (served && gone) {
      if (nextToMove() == null) {
        finish();
      } else {
        state(UpgradeState.CHECKING, spec.warmNs());
      }
    } else if (isLate()) {
      fail(
          RpcException.ETIMEDOUT,
          "no slave of it took over in " + millis(spec.drainNs() + spec.moveNs()) + " ms");
    } else if (!gone && !killed && nowNs - askedNs > spec.drainNs()) {
      killed = true;
      slaves.kill(leaver, "it did not let go in " + millis(spec.drainNs()) + " ms");
    }
  }

  private void noteMove() {
    final Slave owner = seats.seat(leftSeats.get(0)).owner();
    moves.add(
        new UpgradeInfo.Move(
            leftSeats,
            leaver.pid(),
            owner.pid(),
            !killed,
            TimeUnit.NANOSECONDS.toMicros(Math.max(0, owner.servingSinceNs() - askedNs))));
  }

  // The end, and the way back.

  /** A process is dead; told before anybody takes care of its seats. */
  void onDead(final Slave slave) {
    if (isRunning() && !backwards && isTarget(slave) && !slave.isAskedToEnd()) {
      if (slave.endReason().isEmpty()) {
        fail(RpcException.EIO, slave + " died by itself; look at log/slave-" + slave.id() + ".log");
      } else {
        fail(RpcException.ENOTSUP, slave + " was ended: " + slave.endReason());
      }
    }
  }

  private void fail(final int code, final String reason) {
    LOG.error("upgrade{} failed: {}", backwards ? ", rolling back," : "", reason);
    if (backwards) {
      failure = failure + "; and the way back failed: " + reason;
      end();
      return;
    }
    failureCode = code;
    failure = reason;
    backwards = true;
    slaves.launch(before);
    boolean serves = false;
    for (final Slave slave : List.copyOf(slaves.all())) {
      if (slave.generation() != fresh.generation()) {
        comeBack(slave);
      } else if (!slave.ownedSeats().isEmpty()) {
        serves = true;
      } else {
        if (slave.intendedSeat() == Seat.NONE) {
          slave.askedToEnd();
        }
        slaves.kill(slave, "its build failed: " + reason);
      }
    }
    seats.forgetFailures();
    if (touched || serves) {
      touched = true;
      state(UpgradeState.CHECKING, spec.warmNs());
    } else {
      end();
    }
  }

  /** A standby of the build before waits for seats again. */
  private void comeBack(final Slave slave) {
    if (slave.isParked()) {
      slave.unpark();
      seats.all().forEach(seat -> actions.tellSeat(slave, seat, false));
    }
  }

  private void finish() {
    for (final Slave slave : List.copyOf(slaves.all())) {
      if (slave.isParked()) {
        slave.askedToEnd();
        slaves.kill(slave, "another build serves now");
      }
    }
    for (final Seat seat : seats.all()) {
      if (seat.state() == SeatState.FAILED) {
        // With another build it is worth another try.
        seats.startAgain(seat);
      }
    }
    end();
  }

  private void end() {
    if (timer != null) {
      timer.cancel();
    }
    state(UpgradeState.IDLE, 0);
    slaves.all().forEach(slave -> slave.candidate(false));
    seats.trimStandbys();
    if (failure == null) {
      counters.increment(MasterCounter.UPGRADES);
      result.complete(new UpgradeInfo(build(), moves));
    } else if (touched) {
      counters.increment(MasterCounter.UPGRADES_ROLLED_BACK);
      result.completeExceptionally(
          new RpcException(
              failureCode,
              "the upgrade was rolled back, build "
                  + build()
                  + " serves: the other build failed: "
                  + failure));
    } else {
      counters.increment(MasterCounter.UPGRADES_REFUSED);
      result.completeExceptionally(
          new RpcException(
              failureCode, "nothing was moved, because the other build failed: " + failure));
    }
  }

  /** What the owners say that they are; more than one when a way back failed. */
  private String build() {
    return seats.all().stream()
        .map(Seat::owner)
        .filter(owner -> owner != null)
        .map(Slave::build)
        .distinct()
        .collect(Collectors.joining(", "));
  }
}

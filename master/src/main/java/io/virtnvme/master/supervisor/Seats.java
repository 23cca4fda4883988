package io.virtnvme.master.supervisor;

import io.virtnvme.ipc.segment.BadSegmentException;
import io.virtnvme.ipc.segment.SeatSegment;
import io.virtnvme.master.relay.EventLoop;
import io.virtnvme.master.relay.MasterCounter;
import io.virtnvme.master.relay.MasterCounters;
import java.io.IOException;
import java.nio.file.Files;
import java.util.ArrayList;
import java.util.List;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Who sits where, and who comes next: keeps every seat owned and the standbys complete, within the
 * limits of {@link RestartPolicy}. Conductor thread.
 */
final class Seats {
  private static final Logger LOG = LoggerFactory.getLogger(Seats.class);

  /** Carries out what is decided here. */
  interface Actions {
    /** Gives a slave what it needs for a seat, then tells it to take the seat or to wait for it. */
    void tellSeat(Slave slave, Seat seat, boolean take);

    /** A seat has a new owner, who is to be given what it does not have. */
    void onOwned(Seat seat, Slave owner);

    /** A seat was given up. */
    void onFailed(Seat seat);
  }

  private final SupervisorConfig config;
  private final EventLoop loop;
  private final MasterCounters counters;
  private final Slaves slaves;
  private final Actions actions;
  private final List<Seat> seats = new ArrayList<>();
  private final RestartPolicy standbyPolicy;
  private EventLoop.Timer standbyTimer;
  private boolean standbysGivenUp;

  /** Not before every slave of the master before has spoken: one of them may be the standby. */
  private boolean standbysWanted;

  private boolean stopped;

  Seats(
      final SupervisorConfig config,
      final EventLoop loop,
      final MasterCounters counters,
      final Slaves slaves,
      final Actions actions) {
    this.config = config;
    this.loop = loop;
    this.counters = counters;
    this.slaves = slaves;
    this.actions = actions;
    this.standbyPolicy = newPolicy();
  }

  private RestartPolicy newPolicy() {
    return new RestartPolicy(
        config.failuresMax(), config.restartDelayNs(), config.restartDelayNsMax());
  }

  /**
   * Makes or opens the seats' segments.
   *
   * @throws IOException when a segment cannot be made
   */
  void open() throws IOException {
    for (int id = 0; id < config.seats().size(); id++) {
      final List<Integer> cores = config.seats().get(id);
      SeatSegment segment = openIfUsable(id, cores.size());
      if (segment == null) {
        Files.deleteIfExists(config.segments().seat(id));
        segment = SeatSegment.create(config.segments(), id, cores.size());
      }
      final SeatState state = isOwnerAlive(segment) ? SeatState.AWAITED : SeatState.VACANT;
      seats.add(new Seat(id, cores, segment, newPolicy(), state));
    }
  }

  /** The segment that is there, or null when a new one must be made. */
  private SeatSegment openIfUsable(final int id, final int reactorCount) {
    if (!Files.exists(config.segments().seat(id))) {
      return null;
    }
    try {
      final SeatSegment segment = SeatSegment.open(config.segments(), id);
      if (segment.reactorCount() == reactorCount || isOwnerAlive(segment)) {
        if (segment.reactorCount() != reactorCount) {
          LOG.warn(
              "seat {} keeps its {} reactors: its slave runs, and {} cores are asked for",
              id,
              segment.reactorCount(),
              reactorCount);
        }
        return segment;
      }
      segment.close();
    } catch (final BadSegmentException e) {
      LOG.warn("{}; it is replaced", e.getMessage());
    }
    return null;
  }

  private boolean isOwnerAlive(final SeatSegment segment) {
    return segment.ownerPid() != 0
        && config.processes().isSlave(segment.ownerPid(), config.runDirectory());
  }

  List<Seat> all() {
    return seats;
  }

  /** The seat, or null. */
  Seat seat(final int id) {
    return id < 0 || id >= seats.size() ? null : seats.get(id);
  }

  boolean standbysGivenUp() {
    return standbysGivenUp;
  }

  int standbyFailures() {
    return standbyPolicy.failures();
  }

  /**
   * Starts a slave for each seat that has none and none to wait for, and standbys from now on; when
   * the slaves of the master before are adopted.
   */
  void fillVacant() {
    for (final Seat seat : seats) {
      if (seat.state() == SeatState.VACANT) {
        startFor(seat);
      }
    }
    standbysWanted = true;
    topUpStandbys();
  }

  /** A slave that nobody has handed back anything to is free for whatever is needed. */
  void assign(final Slave slave) {
    final Seat intended = seat(slave.intendedSeat());
    if (intended != null && intended.owner() == null && intended.state() != SeatState.FAILED) {
      if (intended.state() != SeatState.STARTING) {
        intended.state(SeatState.STARTING, slave + " is there");
      }
      actions.tellSeat(slave, intended, true);
      return;
    }
    slave.intendedSeat(Seat.NONE);
    for (final Seat seat : seats) {
      if (seat.state() != SeatState.FAILED) {
        actions.tellSeat(slave, seat, false);
      }
    }
  }

  /** A slave says that it owns the seat: after a takeover, or when it is adopted. */
  void onTaken(final Slave slave, final Seat seat, final long epoch) {
    final Slave before = seat.owner();
    seat.epoch(epoch);
    seat.owner(slave);
    slave.owns(seat.id(), loop.nowNs());
    counters.increment(MasterCounter.SEATS_TAKEN);
    if (before != null && before != slave) {
      // The kernel gave the mutex away, so its reactor is dead; the rest of it follows.
      before.ownedSeats().remove(seat.id());
      judge(seat.policy(), before);
      if (before.state().isLive()) {
        slaves.kill(before, "its seat " + seat.id() + " was taken by " + slave);
      }
    }
    if (slave.state() != SlaveState.ACTIVE) {
      slave.state(SlaveState.ACTIVE, "took seat " + seat.id());
    }
    if (seat.state() != SeatState.OWNED) {
      seat.state(SeatState.OWNED, "taken by " + slave);
    }
    for (final Slave other : List.copyOf(slaves.all())) {
      if (other != slave
          && other.intendedSeat() == seat.id()
          && other.state().isLive()
          && other.ownedSeats().isEmpty()) {
        slaves.shutDown(other, "seat " + seat.id() + " was taken by " + slave);
      }
    }
    slave.intendedSeat(seat.id());
    actions.onOwned(seat, slave);
    for (final Slave standby : slaves.reachable()) {
      if (standby.isStandby() && !standby.watchedSeats().contains(seat.id())) {
        actions.tellSeat(standby, seat, false);
      }
    }
    topUpStandbys();
  }

  /** Counts a slave that is over for or against the policy; how long to wait for the next. */
  private long judge(final RestartPolicy policy, final Slave slave) {
    if (slave.isAskedToEnd()) {
      return 0;
    }
    if (slave.servingSinceNs() != 0
        && loop.nowNs() - slave.servingSinceNs() >= config.serviceNsMin()) {
      policy.onSuccess();
      return 0;
    }
    return policy.onFailure();
  }

  /** A process is dead. */
  void onDead(final Slave slave) {
    if (stopped) {
      return;
    }
    boolean hadDuty = false;
    for (final int seatId : List.copyOf(slave.ownedSeats())) {
      final Seat seat = seats.get(seatId);
      if (seat.owner() == slave) {
        hadDuty = true;
        seat.owner(null);
        succeed(seat, judge(seat.policy(), slave), slave + " is dead");
      }
    }
    final Seat intended = seat(slave.intendedSeat());
    if (!hadDuty
        && intended != null
        && intended.state() == SeatState.STARTING
        && !slave.isAskedToEnd()) {
      hadDuty = true;
      succeed(intended, judge(intended.policy(), slave), slave + " died before it took the seat");
    }
    for (final Seat seat : seats) {
      // The last standby died beside the owner: nobody is left to wait for.
      if (seat.state() == SeatState.SUCCEEDING && !hasWaiter(seat)) {
        startFor(seat);
      }
    }
    final boolean isFailure = !slave.wasUseful() && !slave.isCandidate() && !slave.isAskedToEnd();
    if (!hadDuty && slave.intendedSeat() == Seat.NONE && isFailure) {
      onStandbyFailed(slave + " died before it was warm");
    } else {
      topUpStandbys();
    }
  }

  private void succeed(final Seat seat, final long delayNs, final String reason) {
    if (delayNs == RestartPolicy.GIVE_UP) {
      giveUp(seat, reason);
    } else if (hasWaiter(seat)) {
      seat.state(SeatState.SUCCEEDING, reason + ", a standby takes the seat");
      seat.timer(
          loop.after(
              config.takeoverNsMax(),
              () -> {
                LOG.error("seat {}: no standby took it in time, starting a slave", seat.id());
                startFor(seat);
              }));
    } else if (delayNs == 0) {
      seat.state(SeatState.VACANT, reason);
      startFor(seat);
    } else {
      seat.state(SeatState.VACANT, reason + ", next start in " + delayNs / 1_000_000 + " ms");
      seat.timer(loop.after(delayNs, () -> startFor(seat)));
    }
  }

  private boolean hasWaiter(final Seat seat) {
    for (final Slave slave : slaves.reachable()) {
      if (slave.state() != SlaveState.STARTING && slave.waitsFor(seat.id())) {
        return true;
      }
    }
    return false;
  }

  private void giveUp(final Seat seat, final String reason) {
    seat.state(
        SeatState.FAILED,
        seat.policy().failures()
            + " slaves in a row failed, the last: "
            + reason
            + "; look at log/slave-*.log, then call virtnvme_start_slave with seat "
            + seat.id());
    counters.increment(MasterCounter.SEATS_FAILED);
    actions.onFailed(seat);
  }

  private void startFor(final Seat seat) {
    if (stopped) {
      return;
    }
    if (seat.state() != SeatState.VACANT) {
      seat.state(SeatState.VACANT, "a slave must be started");
    }
    final Slave onItsWay = standbyOnItsWay();
    final Slave slave = onItsWay != null ? onItsWay : slaves.start(seat.id());
    if (slave == null) {
      onStartFailed(seat);
      return;
    }
    slave.intendedSeat(seat.id());
    seat.state(SeatState.STARTING, slave + " is on its way");
    if (slave.isReachable()) {
      actions.tellSeat(slave, seat, true);
    }
  }

  private void onStartFailed(final Seat seat) {
    final long delayNs = seat.policy().onFailure();
    if (delayNs == RestartPolicy.GIVE_UP) {
      giveUp(seat, "the process could not be started");
    } else {
      seat.timer(loop.after(Math.max(delayNs, config.restartDelayNs()), () -> startFor(seat)));
    }
  }

  /** A standby that is not warm yet serves sooner than a process that is yet to be started. */
  private Slave standbyOnItsWay() {
    for (final Slave slave : slaves.all()) {
      if (slave.isStandby()
          && slave.state() == SlaveState.STARTING
          && !slave.isAdopting()
          && !slave.isCandidate()) {
        return slave;
      }
    }
    return null;
  }

  void onStandbyReady(final Slave slave) {
    slave.rejoined();
    if (slave.state() == SlaveState.STARTING && slave.intendedSeat() == Seat.NONE) {
      slave.state(SlaveState.STANDBY, "it is warm");
      standbyPolicy.onSuccess();
    }
  }

  private void onStandbyFailed(final String reason) {
    final long delayNs = standbyPolicy.onFailure();
    if (delayNs == RestartPolicy.GIVE_UP) {
      standbysGivenUp = true;
      LOG.error(
          "no more standbys are started: {} in a row failed, the last: {}; look at"
              + " log/slave-*.log, then call virtnvme_start_slave",
          standbyPolicy.failures(),
          reason);
    } else {
      LOG.warn("{}, next standby in {} ms", reason, delayNs / 1_000_000);
      scheduleStandby(Math.max(delayNs, config.standbyStartDelayNs()));
    }
  }

  /** Starts what is missing of the standbys, once every seat is cared for. */
  void topUpStandbys() {
    if (standbyTimer == null && standbyIsMissing()) {
      scheduleStandby(config.standbyStartDelayNs());
    }
  }

  private boolean standbyIsMissing() {
    if (stopped || standbysGivenUp || !standbysWanted) {
      return false;
    }
    boolean anyOwned = false;
    for (final Seat seat : seats) {
      // Starting a process takes time from those that bring the guests back.
      if (seat.state() != SeatState.OWNED && seat.state() != SeatState.FAILED) {
        return false;
      }
      anyOwned |= seat.state() == SeatState.OWNED;
    }
    return anyOwned
        && slaves.all().stream().filter(Slave::isStandby).count() < config.standbyCount();
  }

  private void scheduleStandby(final long delayNs) {
    if (standbyTimer != null) {
      standbyTimer.cancel();
    }
    standbyTimer =
        loop.after(
            delayNs,
            () -> {
              standbyTimer = null;
              if (standbyIsMissing()) {
                if (slaves.start(Seat.NONE) == null) {
                  onStandbyFailed("the process could not be started");
                } else {
                  topUpStandbys();
                }
              }
            });
  }

  /** Ends standbys that are more than there should be. */
  void trimStandbys() {
    long surplus = slaves.all().stream().filter(Slave::isStandby).count() - config.standbyCount();
    for (final Slave slave : List.copyOf(slaves.all())) {
      if (surplus > 0 && slave.isStandby()) {
        surplus--;
        slave.askedToEnd();
        slaves.kill(slave, "it is one standby too many");
      }
    }
    topUpStandbys();
  }

  /** What comes now is another build: earlier failures say nothing of it. */
  void forgetFailures() {
    standbysGivenUp = false;
    standbyPolicy.onSuccess();
    seats.forEach(seat -> seat.policy().onSuccess());
  }

  /** An operator's word: everything is worth another try. */
  void startAgain(final Seat seat) {
    seat.policy().onSuccess();
    standbysGivenUp = false;
    standbyPolicy.onSuccess();
    if (seat.owner() == null) {
      startFor(seat);
    } else {
      topUpStandbys();
    }
  }

  /** No more starts. */
  void stop() {
    stopped = true;
  }

  void close() {
    for (final Seat seat : seats) {
      seat.segment().close();
    }
    seats.clear();
  }
}

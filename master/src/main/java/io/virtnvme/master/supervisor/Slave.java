package io.virtnvme.master.supervisor;

import io.virtnvme.ipc.relay.FormatVersions;
import io.virtnvme.ipc.sys.Fds;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeSet;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/** One slave process. Conductor thread. */
final class Slave {
  /** Record version of a session that the slave was told of and could not map. */
  static final long NOT_MAPPED = -1;

  private static final Logger LOG = LoggerFactory.getLogger(Slave.class);

  private int id;
  private final int pid;
  private final int pidfd;
  private final long startedAtMs;
  private final long startedNs;
  private SlaveState state = SlaveState.STARTING;
  private SlaveLink link;
  private String build = "";
  private int intendedSeat = Seat.NONE;
  private long servingSinceNs;

  /** Seats that it was told to take or to wait for: it may own each of them at any moment. */
  private final Set<Integer> watchedSeats = new TreeSet<>();

  private final Set<Integer> ownedSeats = new TreeSet<>();

  /**
   * Seats that an adopted slave says it owns; they are its own when it has handed everything back.
   */
  private final Set<Integer> claimedSeats = new TreeSet<>();

  /** Record version by session id, for the sessions that it was told of and may still have. */
  private final Map<Long, Long> toldSessions = new HashMap<>();

  /** Record version by session id, as far as it said that it has mapped it. */
  private final Map<Long, Long> preparedSessions = new HashMap<>();

  /** Seats that it was told not to wait for any more; it keeps their sessions. */
  private final Set<Integer> leftSeats = new TreeSet<>();

  /** Those of them that threads of it may still wait for. */
  private final Set<Integer> leavingSeats = new TreeSet<>();

  private final int generation;
  private FormatVersions formats;
  private String endReason = "";
  private boolean candidate;
  private boolean parked;
  private boolean rejoining;
  private boolean introduced;
  private boolean wasWarm;
  private boolean askedToEnd;
  private boolean adopting;

  /**
   * A process that lives.
   *
   * @param generation of the command line that started it, see {@link Launch}
   */
  Slave(
      final int id,
      final int pid,
      final int pidfd,
      final int generation,
      final long startedAtMs,
      final long startedNs) {
    this.generation = generation;
    this.id = id;
    this.pid = pid;
    this.pidfd = pidfd;
    this.startedAtMs = startedAtMs;
    this.startedNs = startedNs;
  }

  int id() {
    return id;
  }

  int pid() {
    return pid;
  }

  int pidfd() {
    return pidfd;
  }

  long startedAtMs() {
    return startedAtMs;
  }

  long startedNs() {
    return startedNs;
  }

  SlaveState state() {
    return state;
  }

  /** The one door to another state. */
  void state(final SlaveState newState, final String reason) {
    if (!state.mayBecome(newState)) {
      throw new IllegalStateException(
          this + " cannot go from " + state + " to " + newState + ": " + reason);
    }
    LOG.info("{}: {} -> {}: {}", this, state, newState, reason);
    state = newState;
    wasWarm |= newState == SlaveState.STANDBY;
  }

  SlaveLink link() {
    return link;
  }

  void link(final SlaveLink newLink) {
    link = newLink;
  }

  /** True when messages can be sent to it and it has said who it is. */
  boolean isReachable() {
    return state.isLive() && introduced && link != null && !link.isClosed();
  }

  /** Whether it may have a seat: it is not dead, and was not started just now. */
  boolean mayServe() {
    return state != SlaveState.FAILED
        && state != SlaveState.GONE
        && (introduced || state != SlaveState.STARTING);
  }

  String build() {
    return build;
  }

  /** What it reads and writes; null until it said who it is. */
  FormatVersions formats() {
    return formats;
  }

  int generation() {
    return generation;
  }

  /** It said who it is. */
  void introduced(
      final int slaveId,
      final String slaveBuild,
      final FormatVersions slaveFormats,
      final boolean isAdopting) {
    formats = slaveFormats;
    id = slaveId;
    introduced = true;
    build = slaveBuild;
    adopting = isAdopting;
  }

  boolean isIntroduced() {
    return introduced;
  }

  /** True while it hands back what it has to a new master. */
  boolean isAdopting() {
    return adopting;
  }

  void adopted() {
    adopting = false;
  }

  /** The seat that it was started for; {@link Seat#NONE} for a standby. */
  int intendedSeat() {
    return intendedSeat;
  }

  void intendedSeat(final int seat) {
    intendedSeat = seat;
  }

  Set<Integer> watchedSeats() {
    return watchedSeats;
  }

  Set<Integer> ownedSeats() {
    return ownedSeats;
  }

  Set<Integer> claimedSeats() {
    return claimedSeats;
  }

  void owns(final int seat, final long nowNs) {
    if (ownedSeats.isEmpty()) {
      servingSinceNs = nowNs;
    }
    ownedSeats.add(seat);
    watchedSeats.add(seat);
  }

  long servingSinceNs() {
    return servingSinceNs;
  }

  Map<Long, Long> toldSessions() {
    return toldSessions;
  }

  Map<Long, Long> preparedSessions() {
    return preparedSessions;
  }

  /** Whether it takes the seat by itself when that becomes free. */
  boolean waitsFor(final int seat) {
    return watchedSeats.contains(seat) && !ownedSeats.contains(seat) && !leftSeats.contains(seat);
  }

  /** Seats that it waits for beside those that it owns. */
  List<Integer> awaitedSeats() {
    return watchedSeats.stream().filter(this::waitsFor).toList();
  }

  /** It is told not to wait for a seat any more. */
  void leaves(final int seat) {
    leftSeats.add(seat);
    leavingSeats.add(seat);
  }

  /** No thread of it waits for the seat. */
  void hasLeft(final int seat) {
    leavingSeats.remove(seat);
  }

  /** It did not say that it left, and nobody waits for that any more. */
  void stayed() {
    leavingSeats.clear();
  }

  boolean isLeaving() {
    return !leavingSeats.isEmpty();
  }

  /** Waits for no seat, kept warm in case that a build has to come back. */
  boolean isParked() {
    return parked;
  }

  void park() {
    parked = true;
  }

  /** It is told to wait for every seat again; it says when it does. */
  void unpark() {
    parked = false;
    rejoining = true;
    leftSeats.clear();
    leavingSeats.clear();
  }

  /** Whether it has not yet said that it waits for its seats again. */
  boolean isRejoining() {
    return rejoining;
  }

  void rejoined() {
    rejoining = false;
  }

  /** Of a build that has not shown yet that it can serve. */
  boolean isCandidate() {
    return candidate;
  }

  void candidate(final boolean is) {
    candidate = is;
  }

  /** Why we ended it; empty when we did not. */
  String endReason() {
    return endReason;
  }

  void endReason(final String reason) {
    if (endReason.isEmpty()) {
      endReason = reason;
    }
  }

  boolean isStandby() {
    return intendedSeat == Seat.NONE
        && !parked
        && (state == SlaveState.STARTING || state == SlaveState.STANDBY);
  }

  /** Whether it was of use: its end is no failure of its start then. */
  boolean wasUseful() {
    return wasWarm || servingSinceNs != 0;
  }

  /** Whether its end was our wish. */
  boolean isAskedToEnd() {
    return askedToEnd;
  }

  void askedToEnd() {
    askedToEnd = true;
  }

  void release() {
    if (link != null) {
      link.close();
    }
    Fds.close(pidfd);
  }

  @Override
  public String toString() {
    return "slave " + id + " (process " + pid + ")";
  }
}

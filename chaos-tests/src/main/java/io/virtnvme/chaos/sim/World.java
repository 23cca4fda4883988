package io.virtnvme.chaos.sim;

import io.virtnvme.ipc.segment.SegmentDirectory;
import io.virtnvme.ipc.segment.SessionSegment;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Deque;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.SplittableRandom;

/**
 * One run: everybody, the time, the faults, and whose turn it is. First faults happen and nothing
 * wrong may be seen; then they stop and everything must come to its end.
 */
final class World implements AutoCloseable {
  /** Whether slaves can die between two stores; else only between two calls. */
  static final boolean RECORDING = Boolean.getBoolean("virtnvme.mem.record");

  private static final int CALM_STEPS_MAX = 60_000;
  private static final int PART_SCHEDULE = 1;
  private static final int PART_GUEST = 2;
  private static final int PART_DISK = 3;
  private static final int PART_MASTER = 4;
  private static final int PART_SLAVE = 5;

  /**
   * Whose turn it is, of 100: below the first number the guest's, then a reactor's, a control
   * thread's, the disk's, the master's, and for the rest the front-end's. That of NVMe has more to
   * say, and control threads have all admin commands.
   */
  private static final int[] VHOST_TURNS = {24, 58, 72, 84, 95};

  private static final int[] NVME_TURNS = {22, 46, 64, 74, 87};

  private final Plan plan;
  private final Trace trace;
  private final SegmentDirectory segments;
  private final SplittableRandom schedule;
  private final SplittableRandom masterRandom;
  private final SplittableRandom slaveRandom;
  private final SimDisk disk;
  private final Machine machine;
  private final int[] turns;
  private final List<SimSlave> slaves = new ArrayList<>();
  private final List<SimSlave> dead = new ArrayList<>();
  private final Map<Long, Connection> connections = new HashMap<>();
  private final List<Connection> allConnections = new ArrayList<>();
  private final Deque<Connection> waiting = new ArrayDeque<>();
  private final Deque<Integer> deathsInTakeover = new ArrayDeque<>();
  private final Map<Long, SessionSegment> sessionSegments = new HashMap<>();
  private SimMaster master;
  private SimSlave seatHolder;
  private long nowNs = 1_000_000;
  private long storeCount;
  private long lastSessionId;
  private int lastSlave;
  private int lastMaster;
  private int lastTurn;
  private int masterReturns;
  private int hungSince;
  private int step;
  private int nextFault;
  private int deathCount;

  World(final Plan plan, final SegmentDirectory segments, final Trace trace) {
    this.plan = plan;
    this.trace = trace;
    this.segments = segments;
    this.schedule = plan.random(PART_SCHEDULE);
    this.masterRandom = plan.random(PART_MASTER);
    this.slaveRandom = plan.random(PART_SLAVE);
    this.disk = new SimDisk(this, plan.random(PART_DISK));
    this.machine =
        plan.nvme() == null
            ? new VhostMachine(this, plan.random(PART_GUEST))
            : new NvmeMachine(this, plan.random(PART_GUEST));
    this.turns = plan.nvme() == null ? VHOST_TURNS : NVME_TURNS;
    startMaster();
  }

  Plan plan() {
    return plan;
  }

  Trace trace() {
    return trace;
  }

  SegmentDirectory segments() {
    return segments;
  }

  SimDisk disk() {
    return disk;
  }

  Machine machine() {
    return machine;
  }

  /** The master, or null while there is none. */
  SimMaster master() {
    return master;
  }

  /** Those that are not dead. */
  List<SimSlave> slaves() {
    return slaves;
  }

  long nowNs() {
    return nowNs;
  }

  int step() {
    return step;
  }

  int hungSince() {
    return hungSince;
  }

  void countStore() {
    storeCount++;
  }

  long storeCount() {
    return storeCount;
  }

  int deathCount() {
    return deathCount;
  }

  /** Runs both phases; throws {@link Violation}. */
  void run() {
    while (step < plan.stepCount()) {
      applyFaults();
      advance();
    }
    calm();
    final int last = step + CALM_STEPS_MAX;
    while (!machine.isDone()) {
      if (step == last) {
        throw new Violation(
            "nothing goes wrong any more, and still not everything ends: sent="
                + machine.postedCount()
                + " completed="
                + machine.completedCount()
                + " "
                + machine.outstanding());
      }
      advance();
    }
    machine.checkEnd();
    trace.note("end", machine.completedCount(), storeCount);
  }

  private void calm() {
    trace.note("calm");
    disk.slowUntil(0);
    disk.smallUntil(0);
    deathsInTakeover.clear();
    masterReturns = Math.min(masterReturns, step);
    for (final SimSlave slave : slaves) {
      slave.dieAfter(0);
      slave.wake(Integer.MAX_VALUE);
    }
    machine.calm();
  }

  private void advance() {
    step++;
    trace.step(step);
    nowNs += 1000 + schedule.nextInt(20_000);
    if (master == null && step >= masterReturns) {
      startMaster();
    }
    for (final SimSlave slave : slaves) {
      slave.wake(step);
    }
    final int turn = schedule.nextInt(100);
    if (turn < turns[0]) {
      machine.stepGuest();
    } else if (turn < turns[1]) {
      final SimSlave slave = anyone();
      if (slave != null) {
        slave.stepReactor();
      }
    } else if (turn < turns[2]) {
      final SimSlave slave = anyone();
      if (slave != null) {
        slave.stepControl();
      }
    } else if (turn < turns[3]) {
      disk.step();
    } else if (turn < turns[4]) {
      if (master != null) {
        master.step();
      }
    } else {
      machine.stepFrontEnd();
    }
  }

  private SimSlave anyone() {
    final SimSlave slave = slaves.isEmpty() ? null : slaves.get(schedule.nextInt(slaves.size()));
    return slave != null && slave.isRunning() ? slave : null;
  }

  private void applyFaults() {
    while (nextFault < plan.faults().size() && plan.faults().get(nextFault).step() <= step) {
      apply(plan.faults().get(nextFault++));
    }
  }

  private void apply(final Fault fault) {
    trace.note("fault " + fault.kind(), fault.amount());
    switch (fault.kind()) {
      case KILL_AT_STORE -> {
        if (seatHolder != null) {
          seatHolder.dieAfter(fault.amount());
        }
      }
      case KILL -> {
        if (seatHolder != null) {
          onDeath(seatHolder, "killed");
        }
      }
      case KILL_IN_TAKEOVER -> deathsInTakeover.add(fault.amount());
      case KILL_STANDBY -> killStandby();
      case HANG -> {
        if (seatHolder != null && seatHolder.isRunning()) {
          hungSince = step;
          seatHolder.hangUntil(step + fault.amount());
        }
      }
      case LEAVE -> {
        if (seatHolder != null) {
          seatHolder.leave();
        }
      }
      case KILL_MASTER -> killMaster(fault.amount());
      case KILL_ALL -> {
        killMaster(fault.amount());
        List.copyOf(slaves).forEach(slave -> onDeath(slave, "killed with all"));
      }
      case SLOW_DISK -> disk.slowUntil(step + fault.amount());
      case SMALL_DISK -> disk.smallUntil(step + fault.amount());
      case HANG_STANDBY -> hangStandby(fault.amount());
      case RECONNECT -> machine.hangUp();
      case PAUSE, NEW_REGION, RESET, PLUG, DELETE_QUEUE, MOVE_QUEUES -> machine.want(fault.kind());
    }
  }

  private void killStandby() {
    for (final SimSlave slave : List.copyOf(slaves)) {
      if (slave != seatHolder) {
        onDeath(slave, "killed while it waited");
        return;
      }
    }
  }

  private void hangStandby(final int steps) {
    for (final SimSlave slave : slaves) {
      if (slave != seatHolder && slave.isRunning()) {
        hungSince = step;
        slave.hangUntil(step + steps);
        return;
      }
    }
  }

  private void startMaster() {
    lastMaster++;
    master = new SimMaster(this, lastMaster, masterRandom.split());
    trace.note("master", lastMaster);
  }

  private void killMaster(final int steps) {
    if (master != null) {
      master.die();
      master = null;
      masterReturns = step + steps;
      breakOrphans();
    }
  }

  void startSlave() {
    lastSlave++;
    slaves.add(new SimSlave(this, lastSlave, slaveRandom.split()));
    trace.note("slave", lastSlave);
  }

  /** A process is gone: none of its threads stores anything from here on. */
  void onDeath(final SimSlave slave, final String why) {
    trace.note(why, slave.number());
    deathCount++;
    slave.dead();
    slaves.remove(slave);
    dead.add(slave);
    if (seatHolder == slave) {
      seatHolder = null;
    }
    if (!disk.holdsRequestOf(slave)) {
      slave.release();
    }
    breakOrphans();
  }

  /** A socket lives as long as somebody has a copy. */
  private void breakOrphans() {
    connections.forEach(
        (id, connection) -> {
          if ((master == null || !master.has(id))
              && slaves.stream().noneMatch(slave -> slave.has(id))) {
            connection.broken = true;
          }
        });
    if (master == null) {
      waiting.forEach(connection -> connection.broken = true);
      waiting.clear();
    }
  }

  /** The seat's mutex: whoever comes first when its owner is dead. */
  boolean takeSeat(final SimSlave slave) {
    if (seatHolder != null) {
      return false;
    }
    seatHolder = slave;
    lastTurn++;
    slave.turn(lastTurn);
    final Integer stores = deathsInTakeover.poll();
    slave.dieAfter(stores == null ? 0 : stores);
    return true;
  }

  void connect(final Connection connection) {
    waiting.add(connection);
    allConnections.add(connection);
  }

  /** A front-end that nobody has accepted, or null. */
  Connection waitingConnection() {
    return waiting.peek();
  }

  void accepted(final Connection connection) {
    waiting.remove(connection);
  }

  /** Makes the segment of a new session. */
  long newSession(final Connection connection) {
    lastSessionId++;
    connection.sessionId = lastSessionId;
    connections.put(lastSessionId, connection);
    sessionSegments.put(lastSessionId, SessionSegment.create(segments, lastSessionId));
    return lastSessionId;
  }

  Connection connectionOf(final long sessionId) {
    return connections.get(sessionId);
  }

  void endSession(final long sessionId) {
    connections.remove(sessionId);
    removeSegment(sessionId, sessionSegments.remove(sessionId));
  }

  private void removeSegment(final long sessionId, final SessionSegment segment) {
    segment.close();
    try {
      Files.deleteIfExists(segments.session(sessionId));
    } catch (final IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  @Override
  public void close() {
    disk.drop();
    if (master != null) {
      master.die();
    }
    machine.hangUp();
    slaves.forEach(SimSlave::dead);
    slaves.forEach(SimSlave::release);
    dead.forEach(SimSlave::release);
    allConnections.forEach(Connection::close);
    sessionSegments.forEach(this::removeSegment);
    machine.close();
    disk.close();
  }
}

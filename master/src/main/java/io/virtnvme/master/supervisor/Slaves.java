package io.virtnvme.master.supervisor;

import io.virtnvme.ipc.relay.BdevDescription;
import io.virtnvme.ipc.relay.FormatVersions;
import io.virtnvme.ipc.relay.RelayChannel;
import io.virtnvme.ipc.relay.RelayClosedException;
import io.virtnvme.ipc.relay.RelayFormatException;
import io.virtnvme.ipc.relay.RelayMessageType;
import io.virtnvme.ipc.relay.RelayReader;
import io.virtnvme.ipc.sys.Epoll;
import io.virtnvme.ipc.sys.Errno;
import io.virtnvme.ipc.sys.Fds;
import io.virtnvme.master.relay.EventLoop;
import io.virtnvme.master.relay.MasterCounter;
import io.virtnvme.master.relay.MasterCounters;
import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Collection;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * The slave processes: start, connect, listen to, kill, bury. What their messages mean is decided
 * by {@link Events}. Conductor thread.
 */
final class Slaves {
  private static final Logger LOG = LoggerFactory.getLogger(Slaves.class);
  private static final int MESSAGES_PER_EVENT = 64;

  /** What slaves say and what becomes of them. */
  interface Events {
    void onIntroduced(Slave slave, List<Integer> ownedSeats);

    void onStandbyReady(Slave slave);

    void onUnwatched(Slave slave, int seat);

    void onSeatTaken(Slave slave, int seat, long epoch);

    void onBdevResult(
        Slave slave, long bdevId, long sequence, int errno, String text, long blockCount);

    void onBdevHeld(Slave slave, long bdevId, BdevDescription description, int seat);

    void onDeviceHeld(Slave slave, RelayReader message);

    void onSession(Slave slave, RelayReader message);

    void onAnswer(Slave slave, RelayReader message);

    void onSessionPrepared(Slave slave, long sessionId, long recordVersion);

    void onSessionClosed(Slave slave, long sessionId);

    void onSessionFailed(Slave slave, long sessionId, String reason);

    void onNamespacesSet(Slave slave, long sessionId, long sequence);

    void onAdopted(Slave slave, boolean warm);

    /** It is dead; {@code before} is the state in which that happened. */
    void onDead(Slave slave, SlaveState before);
  }

  private final SupervisorConfig config;
  private final EventLoop loop;
  private final MasterCounters counters;
  private final Events events;
  private final SlaveLogs logs;
  private final Map<Integer, Slave> byPid = new LinkedHashMap<>();
  private Launch launch;
  private int lastGeneration = 1;
  private int lastId;

  Slaves(
      final SupervisorConfig config,
      final EventLoop loop,
      final MasterCounters counters,
      final Events events) {
    this.config = config;
    this.loop = loop;
    this.counters = counters;
    this.events = events;
    this.logs = new SlaveLogs(config.runDirectory().resolve("log"));
    this.lastId = logs.lastId();
    this.launch = new Launch(lastGeneration, config.slaveCommand());
  }

  /** How slaves are started from now on. */
  Launch launch() {
    return launch;
  }

  void launch(final Launch newLaunch) {
    launch = newLaunch;
  }

  /** Another way to start slaves, not in use yet. */
  Launch newLaunch(final List<String> command) {
    return new Launch(++lastGeneration, command);
  }

  /** Every process that is not known to be dead. */
  Collection<Slave> all() {
    return byPid.values();
  }

  /** Those that messages can be sent to; a copy. */
  List<Slave> reachable() {
    final List<Slave> found = new ArrayList<>();
    for (final Slave slave : byPid.values()) {
      if (slave.isReachable()) {
        found.add(slave);
      }
    }
    return found;
  }

  /**
   * Starts a process as usual.
   *
   * @param intendedSeat the seat that it is to take, or {@link Seat#NONE} for a standby
   * @return null when it cannot be started; the reason is in the log
   */
  Slave start(final int intendedSeat) {
    return start(intendedSeat, launch);
  }

  /** The same by another command line. */
  Slave start(final int intendedSeat, final Launch by) {
    final int id = ++lastId;
    final List<String> command =
        new ArrayList<>(intendedSeat == Seat.NONE ? by.command() : by.commandForSeat());
    command.add(ProcessTable.SLAVE_OF);
    command.add(config.runDirectory().toString());
    final int pid;
    try {
      pid = config.processes().start(command, logs.next(id));
    } catch (final IOException e) {
      LOG.error("slave {} cannot be started: {}", id, e.getMessage());
      return null;
    }
    counters.increment(MasterCounter.SLAVES_STARTED);
    final int pidfd = config.processes().open(pid);
    if (pidfd < 0) {
      LOG.error("slave {} (process {}) ended at once: {}", id, pid, Errno.text(-pidfd));
      return null;
    }
    final Slave slave = add(id, pid, pidfd, by.generation());
    slave.intendedSeat(intendedSeat);
    LOG.info(
        "{} started {}",
        slave,
        intendedSeat == Seat.NONE ? "as a standby" : "for seat " + intendedSeat);
    return slave;
  }

  /** What the slave prints goes there. */
  Path logFile(final Slave slave) {
    return logs.file(slave.id());
  }

  private Slave add(final int id, final int pid, final int pidfd, final int generation) {
    final Slave slave =
        new Slave(id, pid, pidfd, generation, System.currentTimeMillis(), loop.nowNs());
    byPid.put(pid, slave);
    loop.watch(pidfd, Epoll.IN, readiness -> onExit(slave));
    return slave;
  }

  /** Somebody connected to the slaves' socket; owns the descriptor. */
  void onConnected(final int fd) {
    final int pid = config.processes().peerPid(fd);
    Slave slave = byPid.get(pid);
    if (slave == null) {
      final int pidfd = config.processes().open(pid);
      if (pidfd < 0) {
        Fds.close(fd);
        return;
      }
      slave = add(0, pid, pidfd, 0);
    } else if (slave.link() != null || !slave.state().isLive()) {
      LOG.warn("{} connected again: only the first connection counts", slave);
      Fds.close(fd);
      return;
    }
    final Slave connected = slave;
    final SlaveLink link =
        new SlaveLink(
            loop,
            new RelayChannel(fd),
            config.stuckNsMax(),
            () -> kill(connected, "it reads no messages"));
    slave.link(link);
    loop.watch(fd, Epoll.IN | Epoll.RDHUP, readiness -> onReadable(connected, MESSAGES_PER_EVENT));
  }

  private void onReadable(final Slave slave, final int limit) {
    final SlaveLink link = slave.link();
    try {
      for (int i = 0; i < limit && !link.isClosed(); i++) {
        final RelayReader message = link.receive();
        if (message == null) {
          return;
        }
        if (slave.state().isLive()) {
          onMessage(slave, message);
        }
      }
    } catch (final RelayClosedException e) {
      link.close();
      // It is dying, or it only hung up: then it must not go on serving behind our back.
      if (slave.state().isLive()) {
        LOG.warn("{} hung up: {}", slave, e.getMessage());
      }
      config.processes().kill(slave.pidfd());
    } catch (final RelayFormatException e) {
      kill(slave, "it broke the protocol: " + e.getMessage());
    }
  }

  /** Takes in everything that a dying slave has said. */
  void drain(final Slave slave) {
    if (slave.link() != null && !slave.link().isClosed()) {
      onReadable(slave, Integer.MAX_VALUE);
    }
  }

  private void onMessage(final Slave slave, final RelayReader message) {
    final RelayMessageType type = message.type();
    if (type == null) {
      // A newer minor version may say more than we know.
      return;
    }
    if (type != RelayMessageType.HELLO && !slave.isIntroduced()) {
      throw new RelayFormatException("first message is " + type);
    }
    switch (type) {
      case HELLO -> onHello(slave, message);
      case BDEV_RESULT ->
          events.onBdevResult(
              slave,
              message.id(),
              message.sequence(),
              message.getInt(),
              message.getString(),
              message.getLong());
      case BDEV_HELD ->
          events.onBdevHeld(slave, message.id(), BdevDescription.read(message), message.getInt());
      case DEVICE_HELD -> events.onDeviceHeld(slave, message);
      case SESSION -> events.onSession(slave, message);
      case SESSION_PREPARED -> events.onSessionPrepared(slave, message.id(), message.getLong());
      case ANSWER -> events.onAnswer(slave, message);
      case SESSION_CLOSED -> events.onSessionClosed(slave, message.id());
      case SESSION_FAILED -> events.onSessionFailed(slave, message.id(), message.getString());
      case STANDBY_READY -> events.onStandbyReady(slave);
      case UNWATCHED -> events.onUnwatched(slave, (int) message.id());
      case NAMESPACES_SET -> events.onNamespacesSet(slave, message.id(), message.sequence());
      case SEAT_TAKEN -> events.onSeatTaken(slave, (int) message.id(), message.sequence());
      case ADOPTED -> events.onAdopted(slave, message.getInt() != 0);
      case WELCOME,
          SEAT,
          BDEV_ADD,
          BDEV_REMOVE,
          BDEV_RESIZE,
          BDEV_LIMITS,
          BDEV_TRACK,
          BDEV_CYCLE,
          BDEV_HOLD,
          DEVICE_ATTACH,
          DEVICE_DETACH,
          RELAY,
          SESSION_CLOSE,
          NAMESPACES,
          UNWATCH,
          SHUTDOWN ->
          throw new RelayFormatException("a master's message came from a slave: " + type);
    }
  }

  private void onHello(final Slave slave, final RelayReader message) {
    final int major = message.getInt();
    final int minor = message.getInt();
    if (major != RelayChannel.PROTOCOL_MAJOR) {
      throw new RelayFormatException(
          "it speaks version "
              + major
              + "."
              + minor
              + " of the master-slave protocol, this master "
              + RelayChannel.PROTOCOL_MAJOR
              + "."
              + RelayChannel.PROTOCOL_MINOR);
    }
    message.getInt();
    final int saidId = message.getInt();
    final String build = message.getString();
    final int seatCount = message.getInt();
    if (slave.isIntroduced() || seatCount < 0) {
      throw new RelayFormatException("bad introduction: seats=" + seatCount);
    }
    final List<Integer> ownedSeats = new ArrayList<>();
    for (int i = 0; i < seatCount; i++) {
      ownedSeats.add(message.getInt());
    }
    final FormatVersions formats = FormatVersions.read(message);
    final boolean adopting = saidId != 0 && slave.id() == 0;
    if (adopting) {
      counters.increment(MasterCounter.SLAVES_ADOPTED);
    }
    final int id = slave.id() != 0 ? slave.id() : saidId != 0 ? saidId : lastId + 1;
    lastId = Math.max(lastId, id);
    slave.introduced(id, build, formats, adopting);
    LOG.info("{} connected, build {}{}", slave, build, adopting ? ", from a master before" : "");
    tell(
        slave,
        channel -> {
          channel
              .begin(RelayMessageType.WELCOME, config.segments().instanceId(), 0)
              .putInt(slave.id())
              .putLong(config.idleSpinNs());
          return true;
        });
    events.onIntroduced(slave, ownedSeats);
  }

  void tell(final Slave slave, final SlaveLink.Message message) {
    if (slave.link() != null) {
      slave.link().tell(message);
    }
  }

  /** Ends a process that cannot be trusted any more; its death is reported when it is certain. */
  void kill(final Slave slave, final String reason) {
    slave.endReason(reason);
    if (slave.state().isLive()) {
      LOG.warn("killing {}: {}", slave, reason);
      counters.increment(MasterCounter.SLAVES_KILLED);
      slave.state(SlaveState.STOPPING, reason);
    }
    if (slave.link() != null) {
      slave.link().close();
    }
    config.processes().kill(slave.pidfd());
  }

  /** Asks a process to end in good order. */
  void shutDown(final Slave slave, final String reason) {
    slave.askedToEnd();
    if (slave.isReachable()) {
      tell(
          slave,
          channel -> {
            channel.begin(RelayMessageType.SHUTDOWN, 0, 0);
            return true;
          });
      slave.state(SlaveState.STOPPING, reason);
    } else {
      kill(slave, reason);
    }
  }

  private void onExit(final Slave slave) {
    // What it said before it died is true: an answer in the queue spares its successor the
    // question.
    drain(slave);
    loop.unwatch(slave.pidfd());
    byPid.remove(slave.pid());
    if (slave.generation() == 0) {
      config.processes().reap(slave.pid());
    }
    final SlaveState before = slave.state();
    if (before != SlaveState.STOPPING) {
      counters.increment(MasterCounter.SLAVES_DIED);
    }
    slave.state(SlaveState.GONE, "its process is dead");
    slave.release();
    events.onDead(slave, before);
  }

  /** Lets go of every process without ending it. */
  void release() {
    for (final Slave slave : byPid.values()) {
      loop.unwatch(slave.pidfd());
      slave.release();
    }
    byPid.clear();
  }
}

package io.virtnvme.master.supervisor;

import io.virtnvme.ipc.sys.Fds;
import io.virtnvme.master.relay.EventLoop;
import java.util.HashSet;
import java.util.Set;
import java.util.concurrent.TimeUnit;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * The first moments of a master: waits for the slaves that its predecessor left behind, for a
 * bounded time, before it starts any. Conductor thread.
 */
final class Adoption {
  private static final Logger LOG = LoggerFactory.getLogger(Adoption.class);
  private static final long INTERVAL_NS = TimeUnit.MILLISECONDS.toNanos(10);

  /** Of the time between two looks no more is counted: nobody is heard while this loop stands. */
  private static final long COUNTED_NS_MAX = 10 * INTERVAL_NS;

  private final SupervisorConfig config;
  private final EventLoop loop;
  private final Seats seats;
  private final Slaves slaves;
  private final Runnable onDone;
  private final Set<Integer> awaitedPids = new HashSet<>();
  private long lookedNs;
  private long waitedNs;
  private boolean done;

  Adoption(
      final SupervisorConfig config,
      final EventLoop loop,
      final Seats seats,
      final Slaves slaves,
      final Runnable onDone) {
    this.config = config;
    this.loop = loop;
    this.seats = seats;
    this.slaves = slaves;
    this.onDone = onDone;
  }

  void start() {
    awaitedPids.addAll(config.processes().slavesOf(config.runDirectory()));
    if (!awaitedPids.isEmpty()) {
      LOG.info("waiting for the living slaves to connect: processes {}", awaitedPids);
    }
    lookedNs = loop.nowNs();
    check();
  }

  boolean isDone() {
    return done;
  }

  private void check() {
    final long nowNs = loop.nowNs();
    waitedNs += Math.min(nowNs - lookedNs, COUNTED_NS_MAX);
    lookedNs = nowNs;
    final boolean late = waitedNs > config.adoptionNsMax();
    boolean waiting = !late && !allConnected();
    for (final Slave slave : slaves.all()) {
      // One that has begun to hand back is heard to the end; it is killed if it gets stuck.
      waiting |= slave.isAdopting() && slave.state().isLive() && !veryLate();
    }
    for (final Seat seat : seats.all()) {
      if (seat.state() == SeatState.AWAITED) {
        waiting |= !settle(seat, late);
      }
    }
    if (waiting) {
      loop.after(INTERVAL_NS, this::check);
    } else {
      done = true;
      onDone.run();
    }
  }

  /** A standby counts too: another one must not be started in its place. */
  private boolean allConnected() {
    slaves.all().forEach(slave -> awaitedPids.remove(slave.pid()));
    awaitedPids.removeIf(pid -> !config.processes().isSlave(pid, config.runDirectory()));
    return awaitedPids.isEmpty();
  }

  private boolean veryLate() {
    return waitedNs > config.adoptionNsMax() + config.stuckNsMax();
  }

  /** True when it is clear that nobody will claim the seat. */
  private boolean settle(final Seat seat, final boolean late) {
    final int pid = seat.segment().ownerPid();
    if (!config.processes().isSlave(pid, config.runDirectory())) {
      seat.state(SeatState.VACANT, "process " + pid + " is dead");
      return true;
    }
    for (final Slave slave : slaves.all()) {
      if (slave.claimedSeats().contains(seat.id()) && slave.state().isLive() && !veryLate()) {
        return false;
      }
    }
    if (!late) {
      return false;
    }
    LOG.error("seat {}: its slave, process {}, does not connect and is killed", seat.id(), pid);
    final int pidfd = config.processes().open(pid);
    if (pidfd >= 0) {
      config.processes().kill(pidfd);
      Fds.close(pidfd);
    }
    seat.state(SeatState.VACANT, "process " + pid + " hangs");
    return true;
  }
}

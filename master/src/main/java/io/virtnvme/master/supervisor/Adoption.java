package io.virtnvme.master.supervisor;

import io.virtnvme.master.relay.EventLoop;
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

  /** Slaves look for a master 20 times a second: a standby that lives is here by then. */
  private static final long STANDBY_WAIT_NS = TimeUnit.MILLISECONDS.toNanos(150);

  private final SupervisorConfig config;
  private final EventLoop loop;
  private final Seats seats;
  private final Slaves slaves;
  private final Runnable onDone;
  private long startNs;
  private long waitNsMin;
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
    startNs = loop.nowNs();
    final long awaited =
        seats.all().stream().filter(seat -> seat.state() == SeatState.AWAITED).count();
    if (awaited > 0) {
      LOG.info("{} seat(s) have a living slave: waiting for it to connect", awaited);
      waitNsMin = STANDBY_WAIT_NS;
    }
    check();
  }

  boolean isDone() {
    return done;
  }

  private void check() {
    final boolean late = loop.nowNs() - startNs > config.adoptionNsMax();
    boolean waiting = loop.nowNs() - startNs < waitNsMin;
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

  private boolean veryLate() {
    return loop.nowNs() - startNs > config.adoptionNsMax() + config.stuckNsMax();
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
      io.virtnvme.ipc.sys.Fds.close(pidfd);
    }
    seat.state(SeatState.VACANT, "process " + pid + " hangs");
    return true;
  }
}

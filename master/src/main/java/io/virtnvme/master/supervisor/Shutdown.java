package io.virtnvme.master.supervisor;

import io.virtnvme.ipc.sys.Fds;
import io.virtnvme.master.relay.EventLoop;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * The end of all slaves in good order: those that wait first, then those that serve. Conductor
 * thread.
 */
final class Shutdown {
  private static final Logger LOG = LoggerFactory.getLogger(Shutdown.class);

  private final SupervisorConfig config;
  private final EventLoop loop;
  private final Slaves slaves;
  private final Seats seats;
  private final CompletableFuture<Void> done = new CompletableFuture<>();
  private boolean started;
  private boolean ownersTold;

  Shutdown(
      final SupervisorConfig config, final EventLoop loop, final Slaves slaves, final Seats seats) {
    this.config = config;
    this.loop = loop;
    this.slaves = slaves;
    this.seats = seats;
  }

  /** Begins; completes when every process is dead. */
  CompletableFuture<Void> start() {
    if (!started) {
      started = true;
      seats.stop();
      // A standby would take the seat that its owner gives up. It has nothing to bring to an end.
      for (final Slave slave : List.copyOf(slaves.all())) {
        if (slave.ownedSeats().isEmpty()) {
          slaves.kill(slave, "shutdown");
        }
      }
      loop.after(config.stopNsMax(), this::killAll);
      next();
    }
    return done;
  }

  void onDead(final Slave slave) {
    if (started) {
      next();
    }
  }

  private void next() {
    if (slaves.all().isEmpty()) {
      killStrangers();
      done.complete(null);
      return;
    }
    final boolean onlyOwners =
        slaves.all().stream().noneMatch(slave -> slave.ownedSeats().isEmpty());
    if (onlyOwners && !ownersTold) {
      ownersTold = true;
      for (final Slave slave : List.copyOf(slaves.all())) {
        slaves.shutDown(slave, "shutdown");
      }
    }
  }

  /** Slaves of a master before that hung and never connected: what they wait for goes away now. */
  private void killStrangers() {
    for (final int pid : config.processes().slavesOf(config.runDirectory())) {
      final int pidfd = config.processes().open(pid);
      if (pidfd >= 0) {
        LOG.warn("killing process {}, a slave that never connected", pid);
        config.processes().kill(pidfd);
        Fds.close(pidfd);
      }
    }
  }

  private void killAll() {
    for (final Slave slave : List.copyOf(slaves.all())) {
      LOG.warn("{} did not end in {} ms", slave, config.stopNsMax() / 1_000_000);
      slaves.kill(slave, "it did not end in time");
    }
  }
}

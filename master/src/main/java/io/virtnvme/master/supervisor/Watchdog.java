package io.virtnvme.master.supervisor;

import io.virtnvme.ipc.segment.SeatSegment;
import io.virtnvme.master.relay.EventLoop;
import java.util.HashMap;
import java.util.Map;
import java.util.concurrent.TimeUnit;

/**
 * Finds owners whose reactors stopped moving. One that sleeps may take as much longer for a
 * heartbeat as it may sleep; one that neither polls nor sleeps has none to give. Conductor thread.
 */
final class Watchdog {
  private static final int CHECKS_PER_LIMIT = 4;

  /** Told of an owner that hangs. */
  @FunctionalInterface
  interface HungHandler {
    void onHung(Slave slave, String reason);
  }

  private final SupervisorConfig config;
  private final EventLoop loop;
  private final Seats seats;
  private final HungHandler onHung;

  /** A heartbeat, whose it is, and since when it is the last one. */
  private record Beat(Slave owner, long beatNs, long seenNs) {}

  private final Map<Long, Beat> lastBeats = new HashMap<>();

  private long lastCheckNs;

  Watchdog(
      final SupervisorConfig config,
      final EventLoop loop,
      final Seats seats,
      final HungHandler onHung) {
    this.config = config;
    this.loop = loop;
    this.seats = seats;
    this.onHung = onHung;
  }

  void start() {
    if (config.hangNsMax() > 0) {
      lastCheckNs = loop.nowNs();
      loop.after(intervalNs(), this::check);
    }
  }

  private long intervalNs() {
    return config.hangNsMax() / CHECKS_PER_LIMIT;
  }

  private void check() {
    final long nowNs = loop.nowNs();
    // If we were held up ourselves, the slaves may have been too: judge them at the next check.
    final boolean onTime = nowNs - lastCheckNs < 2 * intervalNs();
    lastCheckNs = nowNs;
    for (final Seat seat : seats.all()) {
      final Slave owner = seat.owner();
      if (owner != null && owner.state() == SlaveState.ACTIVE) {
        checkReactors(seat, owner, nowNs, onTime);
      }
    }
    loop.after(intervalNs(), this::check);
  }

  private void checkReactors(
      final Seat seat, final Slave owner, final long nowNs, final boolean onTime) {
    for (int reactor = 0; reactor < seat.segment().reactorCount(); reactor++) {
      final long beatNs = seat.segment().heartbeatNs(reactor);
      final long key = (long) seat.id() * SeatSegment.REACTOR_COUNT_MAX + reactor;
      final Beat before = lastBeats.get(key);
      if (before == null || before.owner != owner || before.beatNs != beatNs) {
        // Counted from here, not from the beat: a new owner finds its dead predecessor's.
        lastBeats.put(key, new Beat(owner, beatNs, nowNs));
      } else if (onTime && nowNs - before.seenNs > limitNs(seat.segment().activity(reactor))) {
        onHung.onHung(
            owner,
            "reactor "
                + reactor
                + " of seat "
                + seat.id()
                + " gave no heartbeat for "
                + (nowNs - before.seenNs) / 1_000_000
                + " ms, at most "
                + config.hangNsMax() / 1_000_000);
        return;
      }
    }
  }

  private long limitNs(final long activity) {
    if (activity == SeatSegment.ACTIVITY_POLLING) {
      return config.hangNsMax();
    }
    return activity == SeatSegment.ACTIVITY_ASLEEP
        ? config.hangNsMax() + TimeUnit.MILLISECONDS.toNanos(SeatSegment.SLEEP_MS_MAX)
        : Long.MAX_VALUE;
  }
}

package io.virtnvme.master.supervisor;

import io.virtnvme.ipc.segment.SeatSegment;
import io.virtnvme.master.relay.EventLoop;
import io.virtnvme.master.relay.MasterCounter;
import io.virtnvme.master.relay.MasterCounters;
import java.util.HashMap;
import java.util.Map;
import java.util.concurrent.TimeUnit;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Finds owners whose reactors stopped moving. Half a limit without a heartbeat makes one suspect:
 * evidence is saved while it may still come back. A whole limit makes it hung, unless it wants to
 * run and gets no core: its successor would get none either. One that sleeps may take as much
 * longer for a heartbeat as it may sleep; one that neither polls nor sleeps has none to give.
 * Conductor thread.
 */
final class Watchdog {
  private static final Logger LOG = LoggerFactory.getLogger(Watchdog.class);
  private static final int CHECKS_PER_LIMIT = 8;

  /**
   * A runnable process that used less than this share of the limit since it fell silent starves.
   */
  private static final int STARVING_SHARE = 10;

  /** What is done about owners that do not move. */
  interface Actions {
    /** It may hang: begins to save evidence. */
    EvidenceCase suspect(Slave slave, Seat seat, String reason);

    /** It moved again. */
    void clear(EvidenceCase evidence);

    /** It hangs. Called once. */
    void onHung(Slave slave, String reason, EvidenceCase evidence);
  }

  private final SupervisorConfig config;
  private final EventLoop loop;
  private final MasterCounters counters;
  private final Seats seats;
  private final Actions actions;

  /** A heartbeat, whose it is, and since when it is the last one. */
  private static final class Beat {
    final Slave owner;
    final long beatNs;
    final long seenNs;
    EvidenceCase evidence;
    long cpuNs;
    boolean starving;
    boolean judged;

    Beat(final Slave owner, final long beatNs, final long seenNs) {
      this.owner = owner;
      this.beatNs = beatNs;
      this.seenNs = seenNs;
    }
  }

  private final Map<Long, Beat> lastBeats = new HashMap<>();

  private long lastCheckNs;

  Watchdog(
      final SupervisorConfig config,
      final EventLoop loop,
      final MasterCounters counters,
      final Seats seats,
      final Actions actions) {
    this.config = config;
    this.loop = loop;
    this.counters = counters;
    this.seats = seats;
    this.actions = actions;
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
      final Beat last = lastBeats.get(key);
      if (last == null || last.owner != owner || last.beatNs != beatNs) {
        // Counted from here, not from the beat: a new owner finds its dead predecessor's.
        lastBeats.put(key, new Beat(owner, beatNs, nowNs));
        clear(last);
      } else if (!last.judged && onTime) {
        checkSilence(seat, reactor, last, nowNs);
      }
    }
  }

  private void clear(final Beat last) {
    if (last == null || last.evidence == null || last.judged) {
      return;
    }
    if (last.owner.state() == SlaveState.ACTIVE) {
      LOG.info("{} moves again", last.owner);
      actions.clear(last.evidence);
    } else {
      LOG.info("{} died while it stood still; evidence in {}", last.owner, last.evidence.folder());
    }
  }

  private void checkSilence(final Seat seat, final int reactor, final Beat last, final long nowNs) {
    final long silentNs = nowNs - last.seenNs;
    final long limitNs = limitNs(seat.segment().activity(reactor));
    if (silentNs <= limitNs / 2) {
      return;
    }
    final String reason = reason(seat, reactor, silentNs);
    if (last.evidence == null) {
      counters.increment(MasterCounter.SLAVES_SUSPECTED);
      last.cpuNs = config.processes().activity(last.owner.pid()).cpuNs();
      last.evidence = actions.suspect(last.owner, seat, reason);
    } else if (silentNs > limitNs && !isStarving(last, reason)) {
      last.judged = true;
      actions.onHung(last.owner, reason, last.evidence);
    }
  }

  private static long ms(final long ns) {
    return TimeUnit.NANOSECONDS.toMillis(ns);
  }

  private String reason(final Seat seat, final int reactor, final long silentNs) {
    return "reactor "
        + reactor
        + " of seat "
        + seat.id()
        + " gave no heartbeat for "
        + ms(silentNs)
        + " ms, at most "
        + ms(config.hangNsMax());
  }

  /**
   * An endless loop uses the processor, and a deadlock does not want it. What wants it and does not
   * get it is the host's trouble: replaced, it would only lose what it has in its caches.
   */
  private boolean isStarving(final Beat last, final String reason) {
    final ProcessActivity now = config.processes().activity(last.owner.pid());
    final boolean starving =
        now.runnable() && now.cpuNs() - last.cpuNs < config.hangNsMax() / STARVING_SHARE;
    if (starving && !last.starving) {
      last.starving = true;
      counters.increment(MasterCounter.SLAVES_STARVED);
      LOG.warn(
          "{}: {}; it is left alone because it waits for a core; give its core to nobody else",
          last.owner,
          reason);
    }
    return starving;
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

package io.virtnvme.slave.reactor;

import io.virtnvme.ipc.segment.SeatSegment;
import io.virtnvme.ipc.segment.TakeoverReport;
import io.virtnvme.ipc.sys.Processes;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;

/**
 * What the reactor threads of one seat share while they take it: who goes first, and the figures of
 * the takeover. Reactor 0 writes the report; each method says which thread calls it.
 */
final class SeatTakeover {
  private static final long MEASURE_NS_MAX = 1_000_000_000L;

  private final int seatId;
  private final SeatSegment segment;
  private final boolean warm;
  private final SeatThread[] threads;
  private final ReactorEvents events;
  private final CountDownLatch seatOwned = new CountDownLatch(1);
  private final AtomicInteger unreleased;

  /** Asked for beforehand: in a takeover even a system call counts. */
  private final int ownPid = Processes.currentPid();

  private int previousPid;
  private boolean ownerDied;
  private long detectNs;
  private long acquiredNs;
  private long startedNs;
  private long firstCompletionNs = -1;

  SeatTakeover(
      final int seatId,
      final SeatSegment segment,
      final boolean warm,
      final SeatThread[] threads,
      final ReactorEvents events) {
    this.seatId = seatId;
    this.segment = segment;
    this.warm = warm;
    this.threads = threads;
    this.events = events;
    this.unreleased = new AtomicInteger(threads.length);
  }

  /**
   * Any reactor thread: may it lock its mutex? Reactor 0 always; the others once reactor 0 has the
   * seat.
   */
  boolean mayLock(final int reactor, final long timeoutNs) {
    if (reactor == 0) {
      return true;
    }
    try {
      return seatOwned.await(timeoutNs, TimeUnit.NANOSECONDS);
    } catch (final InterruptedException e) {
      Thread.currentThread().interrupt();
      return false;
    }
  }

  /** Any reactor thread, with its mutex in hand. */
  void onMutex(final int reactor, final boolean died, final long nowNs) {
    if (reactor == 0) {
      acquiredNs = nowNs;
      ownerDied = died;
      detectNs =
          segment.activity(0) == SeatSegment.ACTIVITY_POLLING ? nowNs - segment.heartbeatNs(0) : -1;
      previousPid = segment.takeOwnership(ownPid);
      seatOwned.countDown();
    }
  }

  /** Any reactor thread, after it started what was prepared. */
  void onRingsStarted(final int reactor) {
    if (reactor == 0) {
      startedNs = System.nanoTime();
    }
  }

  /** Any reactor thread, after its first duty cycle: the others of this process may know. */
  void announce(final int reactor) {
    if (reactor == 0) {
      lookForCompletion();
      segment.putTakeover(report(false));
      events.onSeatOwned(seatId);
    }
  }

  /**
   * Reactor 0, each duty cycle until it returns true: looks for the first completed request, for a
   * second from the takeover or from the last fence, however long a slow disk holds that up.
   */
  boolean measured(final int reactor) {
    if (reactor != 0) {
      return true;
    }
    lookForCompletion();
    final Reactor first = threads[0].reactor();
    final long nowNs = System.nanoTime();
    final long sinceNs = Math.max(acquiredNs, first.fencePassedNs());
    if (first.awaitsFence() || (firstCompletionNs < 0 && nowNs - sinceNs < MEASURE_NS_MAX)) {
      return false;
    }
    segment.putTakeover(report(true));
    events.onTakeoverMeasured(seatId);
    return true;
  }

  private void lookForCompletion() {
    if (firstCompletionNs < 0 && threads[0].reactor().rings().completedCount() > 0) {
      firstCompletionNs = System.nanoTime() - acquiredNs;
    }
  }

  private TakeoverReport report(final boolean measured) {
    final Reactor reactor = threads[0].reactor();
    final long fenceNs = reactor.fencePassedNs() == 0 ? 0 : reactor.fencePassedNs() - acquiredNs;
    return new TakeoverReport(
        measured,
        previousPid,
        ownerDied,
        warm,
        ownerDied ? detectNs : -1,
        fenceNs,
        startedNs - acquiredNs - reactor.replayNs() < 0
            ? 0
            : startedNs - acquiredNs - reactor.replayNs(),
        reactor.replayNs(),
        firstCompletionNs,
        reactor.rings().started().length,
        reactor.resubmittedCount());
  }

  /** Any reactor thread, after it unlocked its mutex. */
  void onReleased(final int reactor) {
    if (unreleased.decrementAndGet() == 0) {
      events.onSeatReleased(seatId);
    }
  }
}

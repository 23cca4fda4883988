package io.virtnvme.slave.reactor;

import io.virtnvme.slave.ring.RingSetup;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.function.Predicate;

/**
 * The rings that a reactor starts by itself the moment that it gets its seat. The control thread
 * prepares while the reactor's thread may be taking over, so every call is synchronized.
 */
final class PreparedRings {
  private final Reactor reactor;
  private final Map<Long, Prepared> prepared = new HashMap<>();
  private boolean started;

  private record Prepared(PreparedSession session, List<Ring> rings) {}

  PreparedRings(final Reactor reactor) {
    this.reactor = reactor;
  }

  /** Replaces what was prepared for the session; false when the rings were started already. */
  synchronized boolean prepare(final PreparedSession session, final Predicate<RingSetup> mine) {
    if (started) {
      return false;
    }
    forget(session.sessionId());
    final List<Ring> rings = new ArrayList<>();
    for (final RingSetup setup : session.queues()) {
      if (mine.test(setup)) {
        rings.add(reactor.make(setup));
      }
    }
    prepared.put(session.sessionId(), new Prepared(session, rings));
    return true;
  }

  synchronized void forget(final long sessionId) {
    final Prepared before = started ? null : prepared.remove(sessionId);
    if (before != null) {
      before.rings().forEach(reactor::discard);
    }
  }

  /** Starts what was prepared; by the thread that owns the seat now, once. */
  synchronized void start() {
    started = true;
    for (final Prepared candidate : prepared.values()) {
      final PreparedSession session = candidate.session();
      // The dead slave went beyond our record: the control thread starts these rings when the
      // master has brought the rest.
      final boolean current = session.recordVersion() == session.segment().applying();
      for (final Ring ring : candidate.rings()) {
        if (current && ring.setup.isCurrent()) {
          reactor.start(ring);
        } else {
          reactor.discard(ring);
        }
      }
    }
    prepared.clear();
  }
}

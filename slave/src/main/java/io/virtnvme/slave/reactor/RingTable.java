package io.virtnvme.slave.reactor;

import io.virtnvme.ipc.relay.BdevHold;
import io.virtnvme.slave.bdev.Bdev;
import io.virtnvme.slave.bdev.ReactorIo;
import io.virtnvme.slave.ring.RingAgent;
import io.virtnvme.slave.ring.RingSetup;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.function.Consumer;

/**
 * The rings of one reactor: by slot, which is the upper half of the tags of their I/O, and those
 * that were started, in order. Belongs to the reactor's thread; before the seat is owned, whoever
 * prepares rings holds the seat thread's lock.
 */
final class RingTable implements AutoCloseable {
  static final int RING_COUNT_MAX = 4096;

  private final Ring[] bySlot = new Ring[RING_COUNT_MAX];

  /** Replaced, never changed: whoever walks it may start and end rings on the way. */
  private Ring[] started = new Ring[0];

  private boolean anyPolledOnly;

  /** Makes a ring in a free slot; nothing of it runs yet. */
  Ring make(final RingSetup setup, final ReactorIo io) {
    int slot = 0;
    while (slot < RING_COUNT_MAX && bySlot[slot] != null) {
      slot++;
    }
    if (slot == RING_COUNT_MAX) {
      throw new IllegalStateException("too many rings on one reactor: max=" + RING_COUNT_MAX);
    }
    final Ring ring = new Ring(setup, setup.makeAgent(io, slot), slot);
    bySlot[slot] = ring;
    return ring;
  }

  /** The ring in a slot, or null. */
  Ring at(final int slot) {
    return bySlot[slot];
  }

  void start(final Ring ring) {
    started = Arrays.copyOf(started, started.length + 1);
    started[started.length - 1] = ring;
    updatePolledOnly();
  }

  /** Forgets a ring, started or not, and frees what it holds. */
  void remove(final Ring ring) {
    final List<Ring> kept = new ArrayList<>(List.of(started));
    kept.remove(ring);
    started = kept.toArray(new Ring[0]);
    updatePolledOnly();
    bySlot[ring.slot] = null;
    ring.agent.free();
  }

  /** Frees what all rings hold, made or started. */
  @Override
  public void close() {
    for (int slot = 0; slot < RING_COUNT_MAX; slot++) {
      if (bySlot[slot] != null) {
        bySlot[slot].agent.free();
        bySlot[slot] = null;
      }
    }
    started = new Ring[0];
  }

  Ring[] started() {
    return started;
  }

  /** The started ring of a queue, or null. */
  Ring find(final long sessionId, final int queueIndex) {
    for (final Ring ring : started) {
      if (ring.is(sessionId, queueIndex)) {
        return ring;
      }
    }
    return null;
  }

  /**
   * Applies {@code change} to the agents of a session's rings that can still be trusted and are of
   * this kind.
   */
  <A extends RingAgent> void forEachTrusted(
      final long sessionId, final Class<A> kind, final Consumer<A> change) {
    for (final Ring ring : started) {
      if (ring.setup.sessionId() == sessionId
          && ring.state != Ring.State.ABANDONED
          && kind.isInstance(ring.agent)) {
        change.accept(kind.cast(ring.agent));
      }
    }
  }

  /** True when nobody would wake a sleeper for a started ring. */
  boolean anyPolledOnly() {
    return anyPolledOnly;
  }

  /** True when a started ring needs the kernel to make progress, perhaps on our own core. */
  boolean anyNeedsKernel() {
    for (final Ring ring : started) {
      if (ring.setup.needsFence()) {
        return true;
      }
    }
    return false;
  }

  /** True while a request of the session uses a memory map from before its last change. */
  boolean usesPreviousMemory(final long sessionId) {
    for (final Ring ring : started) {
      if (ring.setup.sessionId() == sessionId && ring.usesPreviousMemory()) {
        return true;
      }
    }
    return false;
  }

  /** True while a request runs, or may run soon, of a ring that is held for these. */
  boolean runsHeld(final Bdev bdev, final BdevHold.Who who) {
    for (final Ring ring : started) {
      if (ring.setup.isHeld(bdev, who) && ring.runs()) {
        return true;
      }
    }
    return false;
  }

  /** Requests that ended on the started rings since they were started here. */
  long completedCount() {
    long count = 0;
    for (final Ring ring : started) {
      count += ring.agent.completedCount() - ring.completedBeforeCount;
    }
    return count;
  }

  private void updatePolledOnly() {
    anyPolledOnly = false;
    for (final Ring ring : started) {
      anyPolledOnly |= ring.setup.isPolledOnly();
    }
  }
}

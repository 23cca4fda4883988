package io.virtnvme.slave.session;

import io.virtnvme.slave.virtqueue.DirtyLog;
import io.virtnvme.slave.virtqueue.GuestMemory;
import io.virtnvme.slave.virtqueue.QueueSetup;
import java.util.Arrays;
import java.util.function.Supplier;

/**
 * The rings of one session as its {@link RingHost} has them: brings them from what runs to what is
 * wanted. Callbacks may come within the call. Control thread.
 */
final class RunningRings {
  /** Gets the base of each ring that was stopped; {@link #NOT_STOPPED} for the others. */
  interface Stopped {
    void onStopped(long[] bases);
  }

  static final long NOT_STOPPED = -1;

  private static final long BASE_MASK = 0xFFFF_FFFFL;

  private final long sessionId;
  private final Supplier<RingHost> host;
  private final QueueSetup[] running;

  RunningRings(final long sessionId, final int queueCount, final Supplier<RingHost> host) {
    this.sessionId = sessionId;
    this.host = host;
    this.running = new QueueSetup[queueCount];
  }

  /** Starts every wanted ring that does not run; null elements are left alone. */
  void start(final QueueSetup[] wanted) {
    for (int i = 0; i < running.length; i++) {
      if (running[i] == null && wanted[i] != null) {
        running[i] = wanted[i];
        host.get().start(wanted[i]);
      }
    }
  }

  /** Stops every ring that is not wanted, or cannot become what is wanted while it runs. */
  void stopUnlike(final QueueSetup[] wanted, final Stopped whenStopped) {
    final long[] bases = new long[running.length];
    Arrays.fill(bases, NOT_STOPPED);
    final Countdown countdown = new Countdown(() -> whenStopped.onStopped(bases));
    for (int i = 0; i < running.length; i++) {
      final int index = i;
      if (running[i] != null
          && (wanted[i] == null || !RingSetups.isCompatible(running[i], wanted[i]))) {
        countdown.add();
        host.get()
            .stop(
                sessionId,
                index,
                base -> {
                  running[index] = null;
                  // A packed ring's wrap counter is the sign bit, so only -1 itself says that none
                  // ran.
                  if (base != -1) {
                    bases[index] = base & BASE_MASK;
                  }
                  countdown.end();
                });
      }
    }
    countdown.end();
  }

  /**
   * Gives the rings that still run their new memory, log, features, cache mode and call
   * descriptors.
   *
   * @param whenDone called when no reactor uses the old ones any more
   */
  void update(
      final QueueSetup[] wanted,
      final GuestMemory memory,
      final DirtyLog log,
      final long features,
      final Runnable whenDone) {
    final Countdown countdown = new Countdown(whenDone);
    boolean needsUpdate = false;
    boolean needsCacheMode = false;
    boolean writeback = false;
    for (int i = 0; i < running.length; i++) {
      final QueueSetup before = running[i];
      if (before != null) {
        running[i] = wanted[i];
        needsUpdate |= RingSetups.needsUpdate(before, wanted[i]);
        needsCacheMode |= before.writeback() != wanted[i].writeback();
        writeback = wanted[i].writeback();
        if (before.callFd() != wanted[i].callFd()) {
          countdown.add();
          host.get().updateCall(sessionId, i, wanted[i].callFd(), countdown::end);
        }
      }
    }
    if (needsUpdate) {
      countdown.add();
      host.get().update(sessionId, memory, log, features, countdown::end);
    }
    if (needsCacheMode) {
      countdown.add();
      host.get().writeback(sessionId, writeback, countdown::end);
    }
    countdown.end();
  }

  /** Runs an action when all that was added has ended, and {@link #end} was called once more. */
  private static final class Countdown {
    private final Runnable whenDone;
    private int pending = 1;

    Countdown(final Runnable whenDone) {
      this.whenDone = whenDone;
    }

    void add() {
      pending++;
    }

    void end() {
      pending--;
      if (pending == 0) {
        whenDone.run();
      }
    }
  }
}

package io.virtnvme.slave.session;

import io.virtnvme.slave.ring.RingSetup;
import io.virtnvme.slave.virtqueue.DirtyLog;
import io.virtnvme.slave.virtqueue.GuestMemory;

/**
 * Where a session's rings run: the reactors, as the control thread sees them. Every call returns at
 * once; callbacks run later on the control thread, in the order of the calls for one queue.
 */
public interface RingHost {
  /**
   * No rings: what a process has of a seat that it does not own. Starting does nothing, and
   * everything else is done at once.
   */
  RingHost NONE =
      new RingHost() {
        @Override
        public void start(final RingSetup setup) {}

        @Override
        public void stop(final long sessionId, final int queueIndex, final Stopped whenStopped) {
          whenStopped.onStopped(-1);
        }

        @Override
        public void update(
            final long sessionId,
            final GuestMemory memory,
            final DirtyLog log,
            final long features,
            final Runnable whenDone) {
          whenDone.run();
        }

        @Override
        public void updateCall(
            final long sessionId, final int queueIndex, final int callFd, final Runnable whenDone) {
          whenDone.run();
        }

        @Override
        public void writeback(final long sessionId, final boolean on, final Runnable whenDone) {
          whenDone.run();
        }
      };

  /**
   * Hears that a ring stands still: nothing of it runs any more and every fetched request is
   * completed.
   */
  interface Stopped {
    /** Called with the ring's next base, as VHOST_USER_GET_VRING_BASE answers it. */
    void onStopped(int base);
  }

  /**
   * Starts a ring, or resumes it from its journal when that is not new. A failure fails the
   * session.
   */
  void start(RingSetup setup);

  /**
   * Stops fetching, lets running requests end and complete, then calls back. A ring that does not
   * run calls back with -1.
   */
  void stop(long sessionId, int queueIndex, Stopped whenStopped);

  /**
   * Gives running rings of a session a new memory map and dirty log; calls back when no reactor
   * uses the old ones any more.
   */
  void update(long sessionId, GuestMemory memory, DirtyLog log, long features, Runnable whenDone);

  /**
   * Gives a running ring a new call descriptor (-1 for none); calls back when the old one is not
   * used any more.
   */
  void updateCall(long sessionId, int queueIndex, int callFd, Runnable whenDone);

  /**
   * Changes the cache mode of a session's running rings; new ones have it in their set-up. Calls
   * back when it holds for every later completion.
   */
  void writeback(long sessionId, boolean on, Runnable whenDone);
}

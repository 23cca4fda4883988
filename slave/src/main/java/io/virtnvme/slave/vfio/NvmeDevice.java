package io.virtnvme.slave.vfio;

import io.virtnvme.ipc.relay.SessionDescription;
import io.virtnvme.slave.ring.RingSetup;
import io.virtnvme.slave.virtqueue.GuestMemory;
import java.util.List;

/**
 * A controller, as its session sees it. Control thread; callbacks come within the call or later on
 * that thread, in the order of the calls.
 *
 * <p>One for the whole time that a process has the session: a reactor that starts prepared queues
 * by itself reports to the controller that they were prepared from.
 */
public interface NvmeDevice {
  /**
   * The queues that a dead owner's controller had, for a reactor that starts them by itself.
   *
   * @throws io.virtnvme.slave.session.SessionException when the controller area is damaged
   */
  List<? extends RingSetup> prepared();

  /** Whether the queues are still those that {@link #prepared} gave last. */
  boolean isPreparationCurrent();

  /**
   * The seat is ours: goes on from the controller area. Called once; registers may be used from
   * then on.
   *
   * @throws io.virtnvme.slave.session.SessionException when the controller area is damaged
   */
  void resume();

  /** Reads BAR0: 1..8 bytes that do not cross a multiple of eight. */
  long readRegister(int offset, int width);

  /**
   * Writes BAR0, doorbells included: 1..8 bytes that do not cross a multiple of eight.
   *
   * @param whenDone the write will not be lost
   */
  void writeRegister(int offset, int width, long value, Runnable whenDone);

  /** Resets the function; calls back when it is as new and touches no guest memory. */
  void reset(Runnable whenDone);

  /**
   * Gives a new memory map and new eventfds, one per vector or -1; calls back when no reactor uses
   * the old ones.
   *
   * @param isBusMaster false: no queue is processed and nothing of the map is touched, until an
   *     update says true again
   */
  void update(
      GuestMemory readable,
      GuestMemory writable,
      boolean isBusMaster,
      int[] vectorFds,
      Runnable whenDone);

  /**
   * The namespaces are these now, or have other lengths; calls back when no request runs on one
   * that is gone.
   */
  void namespaces(SessionDescription now, Runnable whenDone);

  /**
   * A reactor does not trust the queues any more: the controller goes to its fatal status, and the
   * session goes on. May come before {@link #resume}.
   */
  void fail(String reason);

  /** Stops every queue and keeps the journal; calls back when no reactor touches anything of it. */
  void stop(Runnable whenStopped);
}

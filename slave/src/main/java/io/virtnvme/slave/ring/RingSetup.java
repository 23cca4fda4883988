package io.virtnvme.slave.ring;

import io.virtnvme.ipc.relay.BdevHold;
import io.virtnvme.slave.bdev.Bdev;
import io.virtnvme.slave.bdev.ReactorIo;

/**
 * All that a reactor needs to serve one ring, of whatever kind; immutable. The ring is named by
 * session and index, and runs on the reactor that both together select.
 */
public interface RingSetup {
  /** The session it belongs to. */
  long sessionId();

  /** Its index in the session. */
  int queueIndex();

  /** Eventfd that announces requests, or -1 for none. */
  int kickFd();

  /**
   * Whether requests arrive that neither a kick descriptor nor a command to the reactor announces:
   * somebody has to look.
   */
  default boolean isPolledOnly() {
    return kickFd() < 0;
  }

  /** Whether a dead owner's requests may still run in the kernel, on any disk of the ring. */
  boolean needsFence();

  /**
   * Tries to take the locks that those requests hold, as {@link
   * io.virtnvme.slave.bdev.Bdev#tryFence} does. Reactor thread.
   */
  boolean tryFence();

  /** Whether requests of the ring may be for this disk and wait while it is held for these. */
  boolean isHeld(Bdev bdev, BdevHold.Who who);

  /**
   * Whether what this was made from still holds. Asked in a takeover, when the dead owner may have
   * gone further than a standby knew. Reactor thread.
   */
  default boolean isCurrent() {
    return true;
  }

  /**
   * Makes the ring's agent; stores nothing in ring or journal yet.
   *
   * @param io the kernel I/O of the reactor that is to run it
   * @param ringSlot upper half of the tags of its I/O
   */
  RingAgent makeAgent(ReactorIo io, int ringSlot);
}

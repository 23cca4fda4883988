package io.virtnvme.slave.ring;

/**
 * How many bytes a ring's agent moves before it pauses: a device that copies at once must hold up
 * neither other rings nor what has ended and is yet to be published. The first poll has little, and
 * each that moves something doubles it: after a takeover every page is met for the first time, and
 * copying is ten times slower than later. One reactor thread; data path.
 */
public final class PollBudget {
  private static final long BYTES_MAX = 256 << 10;
  private static final long BYTES_FIRST = 16 << 10;

  /** A device that only takes a request on needs that much less time for a byte. */
  private static final int HANDED_ON_SHARE = 16;

  private long spentBytes;
  private long limitBytes = BYTES_FIRST;

  /** A poll begins. */
  public void begin() {
    if (spentBytes > 0 && limitBytes < BYTES_MAX) {
      limitBytes <<= 1;
    }
    spentBytes = 0;
  }

  /** Bytes were copied. */
  public void copied(final long bytes) {
    spentBytes += bytes;
  }

  /** A device took on a request of so many bytes. */
  public void handedOn(final long bytes) {
    spentBytes += bytes / HANDED_ON_SHARE;
  }

  /** Whether to pause. */
  public boolean isSpent() {
    return spentBytes >= limitBytes;
  }
}

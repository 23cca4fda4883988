package io.virtnvme.slave.bdev;

import io.virtnvme.ipc.segment.DirtySegment;

/**
 * Whether and where the changes of one disk are marked. Set on the control thread; every channel of
 * the disk tells it of each change before it begins and when it has ended. Off, that is a load and
 * a branch. The calls of reactors do not allocate, block or throw.
 */
public final class DirtyTracking implements AutoCloseable {
  /** Null when off. */
  private volatile DirtySegment segment;

  /**
   * Marks changes in another segment from now on.
   *
   * @param newSegment owned from here on; null for none
   * @return the one before; it is the caller's, once no reactor is in the duty cycle of this moment
   */
  public DirtySegment set(final DirtySegment newSegment) {
    final DirtySegment before = segment;
    segment = newSegment;
    return before;
  }

  /** Whether changes are marked. Any thread. */
  public boolean isOn() {
    return segment != null;
  }

  /** A range within the disk is about to change. */
  void begin(final long offsetBytes, final long lengthBytes) {
    final DirtySegment now = segment;
    if (now != null && lengthBytes > 0) {
      now.mark(offsetBytes, lengthBytes);
    }
  }

  /** It may have changed, and nobody has been told how its request ended. */
  void end(final long offsetBytes, final long lengthBytes) {
    final DirtySegment now = segment;
    if (now != null && lengthBytes > 0) {
      now.markAgain(offsetBytes, lengthBytes);
    }
  }

  /** No reactor uses the disk any more. */
  @Override
  public void close() {
    final DirtySegment last = set(null);
    if (last != null) {
      last.close();
    }
  }
}

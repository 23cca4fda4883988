package io.virtnvme.ipc.virtio;

/** The event index of split virtqueues (virtio 1.2, 2.7.7 and 2.7.10), the same both ways. */
public final class EventIndex {
  private static final int INDEX_MASK = 0xFFFF;

  private EventIndex() {}

  /**
   * Whether the step from one index to another passed the entry that the other side waits for.
   *
   * @param event used_event or avail_event, read after a full fence
   * @param newIndex the index now
   * @param oldIndex the index when this was asked last
   */
  public static boolean isDue(final int event, final int newIndex, final int oldIndex) {
    return (newIndex - event - 1 & INDEX_MASK) < (newIndex - oldIndex & INDEX_MASK);
  }
}

package io.virtnvme.slave.reactor;

import io.virtnvme.slave.nvme.ControllerArea;
import io.virtnvme.slave.nvme.ControllerImage;
import io.virtnvme.slave.nvme.ControllerState;
import io.virtnvme.slave.nvme.SubmissionQueue;
import java.util.List;

/**
 * The queues that the image has which was given to the reactors last: finds out what the next image
 * changes. Control thread.
 */
final class QueueTable {
  static final int NONE = -1;

  private static final ControllerState EMPTY =
      new ControllerState(List.of(), List.of(), 0, 0, false);

  private final ControllerArea area;
  private ControllerState state;

  /** Begins with the committed image of this area, as it is when it is asked first. */
  QueueTable(final ControllerArea area) {
    this.area = area;
  }

  ControllerState state() {
    if (state == null) {
      final byte[] image = area.image();
      state = image == null ? EMPTY : ControllerImage.decode(image);
    }
    return state;
  }

  /** The completion queue of a submission queue, or {@link #NONE}. */
  int completionQueueOf(final int submissionQueueId) {
    for (final SubmissionQueue queue : state().submissionQueues()) {
      if (queue.queueId() == submissionQueueId) {
        return queue.completionQueueId();
      }
    }
    return NONE;
  }

  /**
   * Goes on to the next image; true if a ring that was set up from the one before is out of date.
   */
  boolean advance(final ControllerState next) {
    final ControllerState before = state();
    state = next;
    return !next.equals(before);
  }
}

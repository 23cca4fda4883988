package io.virtnvme.slave.reactor;

import io.virtnvme.slave.nvme.ControllerArea;
import io.virtnvme.slave.nvme.ControllerImage;
import io.virtnvme.slave.nvme.ControllerState;
import io.virtnvme.slave.nvme.SubmissionQueue;

/**
 * The queues that the image has which was given to the reactors last: finds out what the next image
 * changes. Control thread.
 */
final class QueueTable {
  static final int NONE = -1;

  private final ControllerArea area;
  private ControllerState state;

  /** Begins with the committed image of this area, as it is when it is asked first. */
  QueueTable(final ControllerArea area) {
    this.area = area;
  }

  /** Null before the first image. */
  ControllerState state() {
    if (state == null) {
      final byte[] image = area.image();
      state = image == null ? null : ControllerImage.decode(image);
    }
    return state;
  }

  /** The completion queue of a submission queue, or {@link #NONE}. */
  int completionQueueOf(final int submissionQueueId) {
    if (state() != null) {
      for (final SubmissionQueue queue : state.submissionQueues()) {
        if (queue.queueId() == submissionQueueId) {
          return queue.completionQueueId();
        }
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
    return before == null
        || !next.completionQueues().equals(before.completionQueues())
        || !next.submissionQueues().equals(before.submissionQueues())
        || next.shadowDoorbellAddress() != before.shadowDoorbellAddress()
        || next.eventIndexAddress() != before.eventIndexAddress()
        || next.isWriteCacheOn() != before.isWriteCacheOn();
  }
}

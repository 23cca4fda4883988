package io.virtnvme.slave.reactor;

import io.virtnvme.slave.nvme.CompletionQueue;
import io.virtnvme.slave.nvme.ControllerArea;
import io.virtnvme.slave.nvme.ControllerImage;
import io.virtnvme.slave.nvme.ControllerState;
import io.virtnvme.slave.nvme.SubmissionQueue;
import java.util.List;

/**
 * What the controller image that was given to the reactors last says about queues. Control thread.
 */
final class ImageQueues {
  static final int NONE = -1;

  private final ControllerArea area;
  private ControllerState state;

  /** Begins with the committed image of this area, as it is when it is asked first. */
  ImageQueues(final ControllerArea area) {
    this.area = area;
  }

  /** The state, or null when there is no image yet. */
  ControllerState state() {
    if (state == null) {
      final byte[] image = area.image();
      state = image == null ? null : ControllerImage.decode(image);
    }
    return state;
  }

  /** The completion queue of a submission queue, or {@link #NONE}. */
  int completionQueueOf(final int submissionQueueId) {
    final ControllerState current = state();
    final List<SubmissionQueue> queues = current == null ? List.of() : current.submissionQueues();
    for (final SubmissionQueue queue : queues) {
      if (queue.queueId() == submissionQueueId) {
        return queue.completionQueueId();
      }
    }
    return NONE;
  }

  /**
   * Goes on to the next image; true if a ring that was set up from the one before is out of date.
   */
  boolean advance(final byte[] image) {
    final ControllerState before = state();
    state = ControllerImage.decode(image);
    return before == null || !Rings.of(before).equals(Rings.of(state));
  }

  /** All that a ring is set up from. */
  private record Rings(
      List<CompletionQueue> completions,
      List<SubmissionQueue> submissions,
      long shadowAddress,
      long eventIndexAddress,
      boolean isWriteCacheOn,
      boolean isFatal) {
    static Rings of(final ControllerState state) {
      return new Rings(
          state.completionQueues(),
          state.submissionQueues(),
          state.shadowDoorbellAddress(),
          state.eventIndexAddress(),
          state.isWriteCacheOn(),
          state.isFatal());
    }
  }
}

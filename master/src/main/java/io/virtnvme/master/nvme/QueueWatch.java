package io.virtnvme.master.nvme;

import io.virtnvme.ipc.nvme.queue.DeviceQueueFault;
import io.virtnvme.ipc.nvme.queue.InjectedErrors;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Locale;
import java.util.concurrent.TimeUnit;
import java.util.function.ObjLongConsumer;

/**
 * What the queue pairs of a device tell of it, through their segments: errors, queue pairs that
 * were given up, commands without end. Conductor thread.
 */
final class QueueWatch {
  /**
   * Trouble that needs a step.
   *
   * @param count how often it was found with this; 0 for what is counted by command
   */
  record Finding(RepairCue cue, Trouble kind, long count, String why) {}

  /** A command without end, and its place when that was found. */
  record Command(WatchedQueue queue, int slot, long place) {}

  /** More hung commands are no matter of single ones; and each Abort may take its time. */
  private static final int ABORTS_AT_ONCE_MAX = 8;

  private final List<WatchedQueue> queues;
  private final HealthNotes notes;
  private final ObjLongConsumer<Trouble> counts;
  private final SlidingCount aborts;
  private final SlidingCount transportErrors;

  /**
   * Nothing was looked at yet.
   *
   * @param queues its owner's: they come and go
   * @param notes hears of media errors
   * @param counts takes errors by command
   * @param windowNs length of the window in which errors and aborts count together
   */
  QueueWatch(
      final List<WatchedQueue> queues,
      final HealthNotes notes,
      final ObjLongConsumer<Trouble> counts,
      final long windowNs) {
    this.queues = queues;
    this.notes = notes;
    this.counts = counts;
    aborts = new SlidingCount(windowNs);
    transportErrors = new SlidingCount(windowNs);
  }

  /**
   * Looks at all of them.
   *
   * @param mayAbort whether a command without end is news: nothing is done about one yet
   * @return the first trouble that needs a step; null when there is none
   */
  Finding look(final long nowNs, final RepairOptions options, final boolean mayAbort) {
    for (final WatchedQueue queue : queues) {
      InjectedErrors.settle(queue.segment().address());
      final long mediaErrors = queue.takeMediaErrors();
      counts.accept(Trouble.MEDIA, mediaErrors);
      notes.onMediaErrors(mediaErrors);
      final long errors = queue.takeTransportErrors();
      counts.accept(Trouble.TRANSPORT, errors);
      if (errors > 0) {
        transportErrors.add(nowNs, errors);
      }
      final boolean isInUse = queue.isOnDevice() && queue.whenGone() == null;
      final int fault = isInUse ? queue.segment().fault() : 0;
      if (fault != 0) {
        return new Finding(
            RepairCue.BROKEN,
            Trouble.QUEUE,
            1,
            "queue " + queue.queueId() + " was given up by its slave: " + faultText(fault));
      }
    }
    final long errors = transportErrors.count(nowNs);
    if (options.transportErrorsMax() > 0 && errors > options.transportErrorsMax()) {
      transportErrors.clear();
      return new Finding(
          RepairCue.BROKEN,
          Trouble.TRANSPORT,
          0,
          errors + " commands ended with errors that are not the medium's");
    }
    return options.commandNsMax() > 0 ? lookForHung(nowNs, options, mayAbort) : null;
  }

  private static String faultText(final int code) {
    return Arrays.stream(DeviceQueueFault.values())
        .filter(fault -> fault.code() == code)
        .map(fault -> fault.name().toLowerCase(Locale.ROOT))
        .findFirst()
        .orElse("fault " + code);
  }

  private Finding lookForHung(
      final long nowNs, final RepairOptions options, final boolean mayAbort) {
    Finding found = null;
    for (final WatchedQueue queue : queues) {
      final int slot = queue.hungSlot(nowNs, options.commandNsMax());
      // Each queue is looked at: its times go on.
      if (slot >= 0 && found == null && mayAbort) {
        found =
            new Finding(
                aborts.count(nowNs) < options.abortsMax() ? RepairCue.HUNG : RepairCue.HUNG_AGAIN,
                Trouble.COMMAND,
                1,
                "command "
                    + slot
                    + " of queue "
                    + queue.queueId()
                    + " has no end after "
                    + TimeUnit.NANOSECONDS.toMillis(queue.ageNs(slot, nowNs))
                    + " ms");
      }
    }
    return found;
  }

  /** The commands without end, some of them when they are many, to be aborted now. */
  List<Command> takeHung(final long nowNs, final RepairOptions options) {
    aborts.add(nowNs, 1);
    final List<Command> hung = new ArrayList<>();
    for (final WatchedQueue queue : queues) {
      for (final int slot : queue.hungSlots(nowNs, options.commandNsMax())) {
        final long place = queue.segment().place(slot);
        if (place > 0 && hung.size() < ABORTS_AT_ONCE_MAX) {
          hung.add(new Command(queue, slot, place));
        }
      }
    }
    return List.copyOf(hung);
  }

  /** Whether a command still has no end, and somebody who would take it. */
  boolean isStillThere(final Command command) {
    return queues.contains(command.queue())
        && command.queue().isServed()
        && command.queue().segment().place(command.slot()) == command.place();
  }
}

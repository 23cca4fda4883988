package io.virtnvme.master.nvme;

import io.virtnvme.ipc.nvme.queue.DeviceQueueSegment;
import java.util.ArrayList;
import java.util.EnumMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.Executor;
import java.util.concurrent.TimeUnit;
import java.util.function.BooleanSupplier;
import java.util.stream.Collectors;

/**
 * Watches a device with its I/O queue pairs, finds out what kind of trouble it is in, and does the
 * least that helps: {@link RepairTable} has the steps. It creates and deletes the queue pairs, so
 * that those of a new disk and those after a reset take the same way.
 *
 * <p>Conductor thread. It never waits: what waits for the device is a job in the device's thread,
 * one at a time, and each ends within the limits of the driver.
 */
public final class DeviceRepair {
  /** Hears what happens; called within {@link #doWork}. */
  public interface Listener {
    /** Another state; the reason is a sentence, empty when there is nothing to say. */
    void onRepair(RepairState before, RepairState now, Trouble trouble, String reason);

    /** Something that the operator should know and that changes no state. */
    void onNote(Trouble trouble, String sentence);

    /** A queue pair was created, or refused by the controller when {@code problem} is not empty. */
    void onQueue(DeviceQueueSegment queue, String problem);
  }

  private final NvmeController controller;
  private final Listener listener;
  private final HealthNotes notes;
  private final RepairJobs jobs;
  private final List<WatchedQueue> queues = new ArrayList<>();
  private final Map<Trouble, Long> troubleCounts = new EnumMap<>(Trouble.class);
  private final Map<RepairState, Long> stateCounts = new EnumMap<>(RepairState.class);
  private final SlidingCount resets;
  private final QueueWatch watch;
  private RepairOptions options;
  private List<QueueWatch.Command> aborted = List.of();
  private RepairState state = RepairState.WATCHING;
  private Trouble trouble = Trouble.NONE;
  private String reason = "";
  private String asked;
  private boolean isAskedFor;
  private long nowNs;
  private long stateNs;
  private long lookNs;
  private long healthNs;
  private boolean isStarted;
  private boolean isStopped;

  /**
   * A repair of a device that is ready; nothing happens before {@link #doWork}.
   *
   * @param deviceThread runs what it gets one after another, in the thread that may call the device
   */
  public DeviceRepair(
      final NvmeDevice device,
      final Executor deviceThread,
      final RepairOptions options,
      final Listener listener) {
    this(device.controller(), deviceThread, options, listener);
  }

  DeviceRepair(
      final NvmeController controller,
      final Executor deviceThread,
      final RepairOptions options,
      final Listener listener) {
    this.controller = controller;
    this.options = options;
    this.listener = listener;
    jobs = new RepairJobs(controller, deviceThread);
    notes = new HealthNotes(this::note);
    resets = new SlidingCount(options.windowNs());
    watch = new QueueWatch(queues, notes, this::count, options.windowNs());
  }

  public RepairState state() {
    return state;
  }

  /** What it is about; {@link Trouble#NONE} while nothing is to repair. */
  public Trouble trouble() {
    return trouble;
  }

  /** Why it is in this state: a sentence; empty while nothing is to repair. */
  public String reason() {
    return reason;
  }

  /** How often this kind of trouble was found; media and transport errors by command. */
  public long count(final Trouble kind) {
    return troubleCounts.getOrDefault(kind, 0L);
  }

  /** How often this state was entered. */
  public long count(final RepairState entered) {
    return stateCounts.getOrDefault(entered, 0L);
  }

  /** The last health log; null when there was none yet. */
  public HealthLog health() {
    return notes.last();
  }

  /** Other limits from now on; the length of the window stays. */
  public void options(final RepairOptions newOptions) {
    options = newOptions;
  }

  /**
   * Takes a queue pair in: it is created as soon as the controller is ready and no slave touches
   * it, and then its gate opens.
   *
   * @param queue mapped for DMA until {@link #remove} has ended
   * @param isServed whether a slave may be beyond the gate: false when none that lives has the
   *     queue pair, and when it is known that all have seen the gate
   */
  public void add(final DeviceQueueSegment queue, final BooleanSupplier isServed) {
    final WatchedQueue watched = new WatchedQueue(queue, isServed);
    watched.shut();
    queues.add(watched);
  }

  /**
   * Takes in a queue pair that the controller has already; its gate stays open. One whose gate is
   * shut is as with {@link #add}: it may have been lost in a reset.
   */
  public void adopt(final DeviceQueueSegment queue, final BooleanSupplier isServed) {
    final WatchedQueue watched = new WatchedQueue(queue, isServed);
    if (queue.isGateOpen()) {
      watched.onAdopted(nowNs);
    }
    queues.add(watched);
  }

  /**
   * Takes a queue pair out: its gate is shut, it is deleted, and then {@code whenGone} is called
   * within {@link #doWork}. The caller may unmap it then. A controller that fails, or refuses, may
   * still execute what is in it: that waits for a reset that goes well.
   */
  public void remove(final DeviceQueueSegment queue, final Runnable whenGone) {
    for (final WatchedQueue watched : queues) {
      if (watched.segment() == queue) {
        watched.leave(whenGone);
        return;
      }
    }
    throw new IllegalStateException("not watched: queue " + queue.geometry().queueId());
  }

  /**
   * Resets the controller as soon as can be, and begins a new window of resets. Forgotten while it
   * is being reset anyway, and while its link is down.
   */
  public void requestReset(final String why) {
    asked = why;
  }

  /** Whether nothing is to repair, and each queue pair was created, or refused. */
  public boolean isServing() {
    return state == RepairState.WATCHING
        && asked == null
        && queues.stream().allMatch(queue -> queue.isOnDevice() || queue.isRefused());
  }

  /** Nothing more happens; a job that runs ends by itself. */
  public void stop() {
    isStopped = true;
  }

  /** Goes on; returns 0 when there was nothing to do. */
  public int doWork(final long newNowNs) {
    nowNs = newNowNs;
    if (isStopped) {
      return 0;
    }
    if (!isStarted) {
      isStarted = true;
      stateNs = nowNs;
      lookNs = nowNs;
      healthNs = nowNs;
    }
    notes.doWork(nowNs);
    if (jobs.isBusy()) {
      return awaitJob();
    }
    if (asked != null) {
      final String why = asked;
      asked = null;
      final RepairState before = state;
      step(RepairCue.ASKED, trouble, why);
      if (state != before) {
        resets.clear();
        isAskedFor = true;
      }
      return 1;
    }
    final long limitNs = state.limitNs(options);
    if (limitNs > 0 && nowNs - stateNs > limitNs) {
      onTimeUp(limitNs);
      return 1;
    }
    return letGo() || act() ? 1 : 0;
  }

  private int awaitJob() {
    if (jobs.settle()) {
      return 1;
    }
    if (state == RepairState.RESETTING && nowNs - stateNs > options.resetWaitNs()) {
      onTimeUp(options.resetWaitNs());
      return 1;
    }
    return 0;
  }

  private void onTimeUp(final long limitNs) {
    final long limitMs = TimeUnit.NANOSECONDS.toMillis(limitNs);
    if (state == RepairState.SHUTTING) {
      onGatesLate(limitMs);
      return;
    }
    step(
        RepairCue.TIME_UP,
        trouble,
        reason + "; " + state.label() + " did not end within " + limitMs + " ms");
  }

  /** A slave may still touch a queue, so nothing is reset. */
  private void onGatesLate(final long limitMs) {
    final String late =
        queues.stream()
            .filter(queue -> !queue.shut())
            .map(queue -> Integer.toString(queue.queueId()))
            .collect(Collectors.joining(", "));
    final boolean isRunning =
        controller.state() == ControllerState.READY
            || controller.state() == ControllerState.ADOPTED;
    // A queue pair that is not there may have been lost in a reset that a master did not survive.
    final boolean isCalledOff =
        isAskedFor
            && trouble == Trouble.NONE
            && isRunning
            && queues.stream().allMatch(queue -> queue.isOnDevice() || queue.isRefused());
    isAskedFor = false;
    step(
        isCalledOff ? RepairCue.CALLED_OFF : RepairCue.TIME_UP,
        trouble,
        reason
            + "; nothing was reset: slaves may touch queues "
            + late
            + ", they did not answer within "
            + limitMs
            + " ms");
  }

  private boolean act() {
    return switch (state) {
      case WATCHING -> createQueues() || (isLookDue() && look());
      case ABORTING ->
          aborted.stream().noneMatch(watch::isStillThere) ? well() : isLookDue() && look();
      case SHUTTING -> queues.stream().allMatch(WatchedQueue::shut) && well();
      case LINK_DOWN, FAILED -> isLookDue() && probe();
      case RESETTING, PAUSING, GONE -> false;
    };
  }

  private boolean well() {
    step(RepairCue.WELL, trouble, reason);
    return true;
  }

  private boolean isLookDue() {
    if (nowNs - lookNs < options.lookIntervalNs()) {
      return false;
    }
    lookNs = nowNs;
    return true;
  }

  /** The one door of the state. */
  private void step(final RepairCue cue, final Trouble kind, final String why) {
    final boolean isResetLeft = resets.count(nowNs) < options.resetsMax();
    final RepairState next = RepairTable.next(state, cue, isResetLeft);
    if (next == state) {
      return;
    }
    final RepairState before = state;
    state = next;
    stateNs = nowNs;
    stateCounts.merge(next, 1L, Long::sum);
    trouble = kind;
    reason =
        next == RepairState.FAILED && !isResetLeft
            ? why + "; " + resets.count(nowNs) + " resets did not help"
            : why;
    listener.onRepair(before, next, trouble, reason);
    enter();
  }

  private void enter() {
    if (state.isShut()) {
      queues.forEach(queue -> queue.segment().shutGate());
    }
    switch (state) {
      case WATCHING -> {
        queues.forEach(WatchedQueue::openAgain);
        aborted = List.of();
        trouble = Trouble.NONE;
        reason = "";
      }
      case ABORTING -> abort();
      case RESETTING -> reset();
      case LINK_DOWN, SHUTTING, PAUSING, FAILED, GONE -> {}
    }
  }

  private void note(final Trouble kind, final String sentence) {
    if (kind == Trouble.WARNING) {
      count(kind, 1);
    }
    listener.onNote(kind, sentence);
  }

  private void found(final RepairCue cue, final Trouble kind, final String why) {
    count(kind, 1);
    step(cue, kind, why);
  }

  /** Whether the controller has failed since; then that is dealt with. */
  private boolean hasFailed() {
    if (controller.state() != ControllerState.FAILED) {
      return false;
    }
    final Trouble kind = controller.trouble();
    found(kind == Trouble.LINK ? RepairCue.LOST : RepairCue.BROKEN, kind, controller.reason());
    return true;
  }

  private boolean look() {
    final QueueWatch.Finding found = watch.look(nowNs, options, state == RepairState.WATCHING);
    if (found != null) {
      count(found.kind(), found.count());
      step(found.cue(), found.kind(), found.why());
      return true;
    }
    final boolean isHealthDue =
        options.healthIntervalNs() > 0 && nowNs - healthNs >= options.healthIntervalNs();
    if (isHealthDue) {
      healthNs = nowNs;
    }
    jobs.check(
        isHealthDue,
        health -> {
          if (!hasFailed() && health != null) {
            notes.onHealth(health);
          }
        });
    return true;
  }

  private void count(final Trouble kind, final long more) {
    troubleCounts.merge(kind, more, Long::sum);
  }

  private void abort() {
    aborted = watch.takeHung(nowNs, options);
    jobs.abort(aborted, this::hasFailed);
  }

  private void reset() {
    if (!isAskedFor) {
      resets.add(nowNs, 1);
    }
    isAskedFor = false;
    queues.forEach(WatchedQueue::onReset);
    final String why = reason;
    jobs.reset(
        why,
        () -> {
          if (!hasFailed()) {
            // Beyond the limit of a reset it is too late: the table leaves a device failed.
            step(
                controller.state() == ControllerState.READY ? RepairCue.WELL : RepairCue.BROKEN,
                trouble,
                why);
          }
        });
  }

  private boolean probe() {
    jobs.probe(
        isThere -> {
          if (!isThere) {
            step(RepairCue.LOST, Trouble.LINK, RegisterAccess.gone().getMessage());
          } else if (state == RepairState.LINK_DOWN) {
            step(RepairCue.WELL, trouble, "its registers answer again");
          }
        });
    return true;
  }

  private boolean createQueues() {
    final List<WatchedQueue> wanted = queues.stream().filter(WatchedQueue::isWanted).toList();
    if (wanted.isEmpty()) {
      return false;
    }
    jobs.create(
        wanted,
        problems -> {
          if (!hasFailed()) {
            for (int i = 0; i < problems.length; i++) {
              onCreated(wanted.get(i), problems[i]);
            }
          }
        });
    return true;
  }

  private void onCreated(final WatchedQueue queue, final String problem) {
    if (problem.isEmpty()) {
      queue.onCreated(nowNs);
    } else {
      queue.onRefused();
    }
    listener.onQueue(queue.segment(), problem);
  }

  /** Whether a queue that should go was dealt with. */
  private boolean letGo() {
    // Elsewhere a reset may have failed: what was on the device before may still be there.
    if (state != RepairState.WATCHING) {
      return false;
    }
    for (final WatchedQueue queue : queues) {
      if (queue.whenGone() != null && !queue.isKept() && queue.shut()) {
        if (queue.isOnDevice()) {
          jobs.delete(queue.queueId(), problem -> onDeleted(queue, problem));
        } else {
          gone(queue);
        }
        return true;
      }
    }
    return false;
  }

  private void onDeleted(final WatchedQueue queue, final String problem) {
    if (hasFailed()) {
      return;
    }
    if (problem.isEmpty()) {
      gone(queue);
    } else {
      queue.onKept();
      note(
          Trouble.ADMIN, "queue " + queue.queueId() + " is not deleted before a reset: " + problem);
    }
  }

  private void gone(final WatchedQueue queue) {
    queues.remove(queue);
    queue.whenGone().run();
  }
}

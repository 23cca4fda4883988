package io.virtnvme.master.supervisor;

import io.virtnvme.ipc.nvme.queue.DeviceQueueSegment;
import io.virtnvme.master.nvme.DeviceRepair;
import io.virtnvme.master.nvme.NvmeDevice;
import io.virtnvme.master.nvme.RepairOptions;
import io.virtnvme.master.nvme.RepairState;
import io.virtnvme.master.nvme.Trouble;
import io.virtnvme.master.relay.EventLoop;
import io.virtnvme.master.rpc.NvmeControllerInfo;
import io.virtnvme.master.rpc.NvmeSettings;
import io.virtnvme.master.rpc.RpcException;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.Executor;
import java.util.concurrent.TimeUnit;

/**
 * Steps the repair of one device, tells it what slaves do with the queue pairs, and its reset to
 * whoever asked for one. Conductor thread.
 */
final class DeviceCare implements DeviceRepair.Listener {
  /** A queue pair that the controller has, and the bdev that it is for. */
  record Pair(String bdev, DeviceQueueSegment queue) {}

  /** Hears what happens. */
  interface Listener {
    /** As {@link DeviceRepair.Listener#onRepair}. */
    void onRepair(RepairState before, RepairState now, Trouble trouble, String reason);

    /** As {@link DeviceRepair.Listener#onNote}. */
    void onNote(Trouble trouble, String sentence);

    /** A queue pair was made anew, or was refused when {@code problem} is not empty. */
    void onQueue(String bdev, String problem);
  }

  /** Slaves are asked about their queues from their seat. */
  interface SlaveView {
    /** Whether a living slave has the seat of a bdev. */
    boolean isOwned(String bdev);

    /** Completes when each slave has polled since; fails when one does not say so. */
    CompletableFuture<Void> awaitCycles();
  }

  private static final long STEP_NS = TimeUnit.MILLISECONDS.toNanos(50);
  private static final int STEPS_AT_ONCE = 16;

  private final EventLoop loop;
  private final List<Pair> pairs;
  private final SlaveView slaves;
  private final Listener listener;
  private final DeviceRepair repair;
  private final QuietGates gates;

  /** Those who wait until queue pairs are gone. */
  private final List<CompletableFuture<Void>> leaving = new ArrayList<>();

  /** By bdev: why the controller does not take its queue pairs. */
  private final Map<String, String> refused = new TreeMap<>();

  private CompletableFuture<Void> asked;

  /** Of {@link #asked}; null while that goes well. */
  private RpcException failure;

  private int retryCount = NvmeSettings.DEFAULT.retryCount();
  private boolean hasBegun;
  private boolean isStepping;
  private boolean isStopped;

  /**
   * Takes a device in that has these queue pairs; nothing happens before {@link #start}.
   *
   * @param deviceThread may call the device, and runs one thing after another
   */
  DeviceCare(
      final NvmeDevice device,
      final Executor deviceThread,
      final List<Pair> pairs,
      final RepairOptions options,
      final EventLoop loop,
      final SlaveView slaves,
      final Listener listener) {
    this.loop = loop;
    this.pairs = new ArrayList<>(pairs);
    this.slaves = slaves;
    this.listener = listener;
    repair = new DeviceRepair(device, job -> run(deviceThread, job), options, this);
    gates = new QuietGates(this.pairs, slaves::awaitCycles, this::step);
    pairs.forEach(pair -> repair.adopt(pair.queue(), () -> isServed(pair)));
  }

  private boolean isServed(final Pair pair) {
    return pair.queue().isGateOpen()
        ? slaves.isOwned(pair.bdev())
        : gates.mayBeBeyond(pair.queue());
  }

  /** Other limits from now on. */
  void options(final RepairOptions options) {
    repair.options(options);
  }

  /** How often slaves submit a command again, from now on. */
  void retries(final int count) {
    retryCount = count;
    pairs.forEach(pair -> pair.queue().retries(count));
  }

  /** The queue pairs that the controller has, or is to have. */
  List<DeviceQueueSegment> queues() {
    return pairs.stream().map(Pair::queue).toList();
  }

  /** Takes a queue pair in that the controller is to have, and lets slaves to it then. */
  void add(final Pair pair) {
    pairs.add(pair);
    pair.queue().retries(retryCount);
    repair.add(pair.queue(), () -> isServed(pair));
    step();
  }

  /**
   * Takes the queue pairs of a bdev from the controller; ends when neither it nor a slave has them,
   * or when {@link #stop} is called.
   */
  CompletableFuture<Void> remove(final String bdev) {
    final List<Pair> own = pairs.stream().filter(pair -> pair.bdev().equals(bdev)).toList();
    final CompletableFuture<Void> gone = new CompletableFuture<>();
    leaving.add(gone);
    own.forEach(pair -> repair.remove(pair.queue(), () -> onGone(pair, gone)));
    endIfGone(bdev, gone);
    step();
    return gone;
  }

  private void onGone(final Pair pair, final CompletableFuture<Void> gone) {
    pairs.remove(pair);
    gates.forget(pair.queue());
    endIfGone(pair.bdev(), gone);
  }

  private void endIfGone(final String bdev, final CompletableFuture<Void> gone) {
    if (pairs.stream().noneMatch(pair -> pair.bdev().equals(bdev))) {
      leaving.removeIf(other -> other == gone);
      refused.remove(bdev);
      gone.complete(null);
    }
  }

  private void run(final Executor deviceThread, final Runnable job) {
    deviceThread.execute(
        () -> {
          job.run();
          loop.execute(this::step);
        });
  }

  /** Watches from now on, until {@link #stop}. */
  void start() {
    if (!isStopped) {
      step();
      loop.after(STEP_NS, this::start);
    }
  }

  /** Nothing of the device is looked at any more; a reset that was asked for fails. */
  void stop() {
    isStopped = true;
    repair.stop();
    List.copyOf(leaving).forEach(gone -> gone.complete(null));
    if (asked != null) {
      end(new RpcException(RpcException.EBUSY, "the controller is being detached"));
    }
  }

  /** Resets the controller; ends when it serves again, or when it is clear that it does not. */
  CompletableFuture<Void> reset(final String why) {
    if (asked == null) {
      asked = new CompletableFuture<>();
      hasBegun = false;
      repair.requestReset(why);
    }
    final CompletableFuture<Void> end = asked;
    step();
    return end;
  }

  private void step() {
    // Answers that are there at once come while it is being asked.
    if (isStopped || isStepping) {
      return;
    }
    isStepping = true;
    int count = 0;
    while (count < STEPS_AT_ONCE && repair.doWork(loop.nowNs()) > 0) {
      count++;
    }
    isStepping = false;
    if (asked != null && failure != null) {
      end(failure);
    } else if (asked != null && hasBegun && repair.isServing()) {
      end(refused.isEmpty() ? null : new RpcException(RpcException.EIO, problem()));
    }
  }

  private void end(final RpcException how) {
    final CompletableFuture<Void> ended = asked;
    asked = null;
    failure = null;
    if (how == null) {
      ended.complete(null);
    } else {
      ended.completeExceptionally(how);
    }
  }

  /** Why some queue pairs are not there though the controller is; empty when all are. */
  String problem() {
    return String.join("; ", refused.values());
  }

  /** Whether it serves. */
  NvmeControllerInfo.State state() {
    return switch (repair.state()) {
      case WATCHING, ABORTING ->
          refused.isEmpty() ? NvmeControllerInfo.State.ENABLED : NvmeControllerInfo.State.FAILED;
      case LINK_DOWN, SHUTTING, RESETTING, PAUSING -> NvmeControllerInfo.State.RESETTING;
      case FAILED, GONE -> NvmeControllerInfo.State.FAILED;
    };
  }

  /** Whether queue pairs are made and deleted now. */
  boolean isWatching() {
    return repair.state() == RepairState.WATCHING || repair.state() == RepairState.ABORTING;
  }

  /** Whether nothing is done but wait, for as long as the operator's settings say. */
  boolean isWaiting() {
    return repair.state() == RepairState.LINK_DOWN || repair.state() == RepairState.PAUSING;
  }

  /** Where it is, and how often it was where. */
  NvmeControllerInfo.Repair info() {
    final Map<String, Long> troubles = new TreeMap<>();
    for (final Trouble trouble : Trouble.values()) {
      if (trouble != Trouble.NONE) {
        troubles.put(trouble.label(), repair.count(trouble));
      }
    }
    final Map<String, Long> states = new TreeMap<>();
    for (final RepairState state : RepairState.values()) {
      states.put(state.label(), repair.count(state));
    }
    return new NvmeControllerInfo.Repair(
        repair.state().label(), repair.trouble().label(), repair.reason(), troubles, states);
  }

  @Override
  public void onRepair(
      final RepairState before, final RepairState now, final Trouble trouble, final String reason) {
    if (now == RepairState.SHUTTING) {
      refused.clear();
    }
    if (asked != null) {
      follow(before, now, reason);
    }
    listener.onRepair(before, now, trouble, reason);
  }

  private void follow(final RepairState before, final RepairState now, final String reason) {
    hasBegun |= now == RepairState.SHUTTING || now == RepairState.LINK_DOWN;
    if (hasBegun && before == RepairState.SHUTTING && now != RepairState.RESETTING) {
      failure = new RpcException(RpcException.ETIMEDOUT, reason);
    } else if (hasBegun && (now == RepairState.FAILED || now == RepairState.GONE)) {
      failure = new RpcException(RpcException.EIO, reason);
    }
  }

  @Override
  public void onNote(final Trouble trouble, final String sentence) {
    listener.onNote(trouble, sentence);
  }

  @Override
  public void onQueue(final DeviceQueueSegment queue, final String problem) {
    for (final Pair pair : pairs) {
      if (pair.queue() == queue) {
        if (!problem.isEmpty()) {
          refused.put(pair.bdev(), pair.bdev() + ": " + problem);
        }
        listener.onQueue(pair.bdev(), problem);
      }
    }
  }
}

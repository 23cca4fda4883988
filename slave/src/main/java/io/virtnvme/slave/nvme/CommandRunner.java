package io.virtnvme.slave.nvme;

import io.virtnvme.ipc.memory.Mem;
import io.virtnvme.ipc.nvme.IoCommand;
import io.virtnvme.ipc.nvme.Status;
import io.virtnvme.slave.bdev.BlockChannel;
import io.virtnvme.slave.bdev.ReactorIo;
import io.virtnvme.slave.nvme.NvmeCommandTask.State;
import io.virtnvme.slave.ring.PollBudget;
import java.util.List;

/**
 * Brings the I/O commands of a ring from fetch to their end: checks them, carries them out, defers
 * those that there is no room for. One reactor thread; the data path's calls do not allocate.
 */
final class CommandRunner {
  /** Lower half of the tag of the runner's own flush; no command has it. */
  static final int OWN_TAG = -1;

  private static final int SLOT_BITS = 16;

  private final QueueContext context;
  private final CompletionRing completion;
  private final ReactorIo io;
  private final long tagBase;
  private final CommandBuffers buffers;
  private final NvmeIoHandler handler;
  private final CommandSteps steps;
  private final PollBudget budget = new PollBudget();
  private final CommandRates rates = new CommandRates();
  private final NvmeCommandTask ownFlush = new NvmeCommandTask(null, 0);
  private NvmeCommandTask[] deferred = new NvmeCommandTask[1];
  private boolean isBusMaster;

  /** Those that count something which is yet to be added, as a list. */
  private DiskCounters counted;

  private int deferredFirst;
  private int deferredCount;
  private int executingCount;
  private int generation;
  private int previousHolderCount;
  private long nowNs;

  CommandRunner(
      final NvmeQueueSetup setup,
      final CompletionRing completion,
      final ReactorIo io,
      final int ringSlot,
      final int commandCount) {
    this.context = setup.context();
    this.completion = completion;
    this.io = io;
    this.tagBase = (long) ringSlot << Integer.SIZE;
    this.buffers = new CommandBuffers(commandCount);
    this.handler = new NvmeIoHandler(buffers);
    this.steps = new CommandSteps(handler, buffers);
    memory(setup.memory());
    handler.writeCache(setup.isWriteCacheOn());
    volumes(setup.volumes());
  }

  NvmeIoHandler handler() {
    return handler;
  }

  /** Takes over another memory map; {@link #nextGeneration} is due after it. */
  void memory(final DmaMemory memory) {
    handler.memory(memory);
    isBusMaster = memory.isBusMaster();
  }

  /** Takes over other namespaces; {@link #nextGeneration} is due after it. */
  void volumes(final List<NamespaceVolume> volumes) {
    final NamespaceChannels namespaces =
        new NamespaceChannels(volumes, context.namespaceIdMax(), io);
    handler.namespaces(namespaces);
    rates.namespaces(namespaces);
  }

  /** Makes room for so many commands, and the runner's own one. Allocates. */
  void ensureCapacity(final int commandCount) {
    if (commandCount + 1 > deferred.length) {
      final NvmeCommandTask[] longer = new NvmeCommandTask[commandCount + 1];
      for (int i = 0; i < deferredCount; i++) {
        longer[i] = deferred[wrapped(deferredFirst + i)];
      }
      deferred = longer;
      deferredFirst = 0;
    }
  }

  private int wrapped(final int index) {
    return index >= deferred.length ? index - deferred.length : index;
  }

  /** Begins a duty cycle. */
  void begin(final long newNowNs) {
    nowNs = newNowNs;
    budget.begin();
  }

  long nowNs() {
    return nowNs;
  }

  CommandRates rates() {
    return rates;
  }

  int deferredCount() {
    return deferredCount;
  }

  /** Those that wait for their turn alone. */
  int runnableCount() {
    return deferredCount - outOfReachCount();
  }

  /** Those that wait until the function is a bus master again. */
  int outOfReachCount() {
    if (isBusMaster) {
      return 0;
    }
    int count = 0;
    for (int i = 0; i < deferredCount; i++) {
      count += isOutOfReach(deferred[wrapped(deferredFirst + i)]) ? 1 : 0;
    }
    return count;
  }

  /** One that was prepared before ends with the memory that it has. */
  private boolean isOutOfReach(final NvmeCommandTask task) {
    return !isBusMaster && task.ring != null && task.state == State.FETCHED;
  }

  /** Commands fetched and not ended, and the runner's own flush. */
  int executingCount() {
    return executingCount;
  }

  private void defer(final NvmeCommandTask task) {
    deferred[wrapped(deferredFirst + deferredCount)] = task;
    deferredCount++;
  }

  /** Takes on a command that was just noted in the journal; runs it unless others wait. */
  void run(final NvmeCommandTask task) {
    add(task);
    if (deferredCount > 0 || budget.isSpent() || !execute(task)) {
      defer(task);
    } else {
      spend(task);
    }
  }

  /** Takes on a command that a predecessor had fetched; {@link #runDeferred} runs it. */
  void runLater(final NvmeCommandTask task) {
    add(task);
    defer(task);
  }

  private void add(final NvmeCommandTask task) {
    task.state = State.FETCHED;
    task.startNs = nowNs;
    executingCount++;
    if (task.ring != null) {
      task.ring.executingCount++;
    }
  }

  private void spend(final NvmeCommandTask task) {
    if (task.state == State.DONE) {
      budget.copied(task.dataBytes);
    } else {
      budget.handedOn(task.dataBytes);
    }
  }

  /** Runs what waits, in order, until one has to wait again; how many were moved. */
  int runDeferred() {
    if (!isBusMaster) {
      return runWithinReach();
    }
    int moved = 0;
    while (deferredCount > 0 && !budget.isSpent()) {
      final NvmeCommandTask task = deferred[deferredFirst];
      if (!execute(task)) {
        break;
      }
      spend(task);
      deferredFirst = wrapped(deferredFirst + 1);
      deferredCount--;
      moved++;
    }
    return moved;
  }

  /** As {@link #runDeferred}, past those that are to stand still; they keep their order. */
  private int runWithinReach() {
    int moved = 0;
    for (int left = deferredCount; left > 0; left--) {
      final NvmeCommandTask task = deferred[deferredFirst];
      deferredFirst = wrapped(deferredFirst + 1);
      deferredCount--;
      if (isOutOfReach(task) || !execute(task)) {
        defer(task);
      } else {
        moved++;
      }
    }
    return moved;
  }

  /** Brings a command as far as possible; false if it has to wait for its next turn. */
  private boolean execute(final NvmeCommandTask task) {
    if (task.state == State.FETCHED) {
      task.generation = generation;
      final int answer =
          task.ring == null
              ? NvmeIoHandler.PREPARED
              : handler.prepare(task, task.ring.journal().commandAddress(task.slot));
      if (answer == NvmeIoHandler.NO_ROOM) {
        buffers.release(task);
        return false;
      }
      if (answer != NvmeIoHandler.PREPARED) {
        if (answer != Status.SUCCESS) {
          task.ring.counters().onGuestFault();
        }
        task.status = answer;
        task.result = 0;
        finish(task);
        return true;
      }
      task.state = State.PREPARED;
      if (rates.isOn() && task.ring != null) {
        rates.charge(task, nowNs);
      }
    }
    return advance(task);
  }

  private boolean advance(final NvmeCommandTask task) {
    while (true) {
      task.state = State.SUBMITTING;
      final int answer = steps.submit(task, tagBase | tag(task));
      if (answer == BlockChannel.PENDING) {
        task.state = State.SUBMITTED;
        return true;
      }
      if (answer == BlockChannel.RETRY) {
        task.state = State.PREPARED;
        return false;
      }
      if (!onStepEnd(task, answer)) {
        finish(task);
        return true;
      }
      task.state = State.PREPARED;
      budget.copied(task.stepBytes);
      if (budget.isSpent()) {
        return false;
      }
    }
  }

  private static long tag(final NvmeCommandTask task) {
    return task.ring == null
        ? OWN_TAG & 0xFFFF_FFFFL
        : (long) task.ring.index << SLOT_BITS | task.slot;
  }

  /** Which of the agent's rings the lower half of a tag names. */
  static int ringIndex(final int tag) {
    return tag >>> SLOT_BITS;
  }

  /** Which slot of it. */
  static int slot(final int tag) {
    return tag & (1 << SLOT_BITS) - 1;
  }

  /** Takes the end of a step that the channel had accepted. */
  void onIoEnd(final NvmeCommandTask task, final int result) {
    switch (task.state) {
      case SUBMITTED, SUBMITTING -> {
        if (!onStepEnd(task, result)) {
          finish(task);
          return;
        }
        task.state = State.PREPARED;
        if (!advance(task)) {
          defer(task);
        }
      }
      case ORPHAN -> {
        release(task);
        task.state = State.FREE;
      }
      default -> {}
    }
  }

  /** As {@link CommandSteps#onStepEnd}; a driver's flush of all namespaces counts for each. */
  private boolean onStepEnd(final NvmeCommandTask task, final int result) {
    if (task.work == NvmeCommandTask.Work.FLUSH_ALL
        && task.ring != null
        && result == BlockChannel.DONE) {
      final DiskCounters counters = handler.flushCounters(task);
      if (counters != null) {
        counters.onFlush();
        list(counters);
      }
    }
    return steps.onStepEnd(task, result);
  }

  /** An ended command becomes ready to be posted. */
  private void finish(final NvmeCommandTask task) {
    release(task);
    executingCount--;
    if (task.ring == null) {
      task.state = State.FREE;
      context.reports().execute(task.whenPosted);
      return;
    }
    CommandSteps.count(task, task.ring.counters(), nowNs);
    if (task.counters != null) {
      CommandSteps.count(task, task.counters, nowNs);
      list(task.counters);
    }
    task.ring.executingCount--;
    task.state = State.DONE;
    completion.addDone(task);
    if (task.status != Status.SUCCESS && !task.ring.isReporting) {
      report(task);
    }
  }

  private void list(final DiskCounters counters) {
    if (!counters.isListed) {
      counters.isListed = true;
      counters.next = counted;
      counted = counters;
    }
  }

  /** Adds what was counted for namespaces; before the queues' counters, see the session segment. */
  void addDiskCounters() {
    while (counted != null) {
      final DiskCounters counters = counted;
      counted = counters.next;
      counters.next = null;
      counters.isListed = false;
      counters.add();
    }
  }

  private void report(final NvmeCommandTask task) {
    final SubmissionRing ring = task.ring;
    ring.isReporting = true;
    final long command = ring.journal().commandAddress(task.slot);
    context
        .reports()
        .onCommandFailed(
            new CommandError(
                ring.queue().queueId(),
                ring.journal().commandId(task.slot),
                task.status,
                task.location,
                Mem.getLong(command + IoCommand.START_BLOCK_OFFSET),
                task.namespaceId),
            () -> ring.isReporting = false);
  }

  private void release(final NvmeCommandTask task) {
    if (task.generation != generation) {
      previousHolderCount--;
    }
    buffers.release(task);
  }

  /**
   * Flushes every namespace, then calls back on the control thread. False while an earlier one
   * runs.
   */
  boolean flushAll(final Runnable whenDone) {
    if (ownFlush.state != State.FREE) {
      return false;
    }
    ownFlush.whenPosted = whenDone;
    ownFlush.work = NvmeCommandTask.Work.FLUSH_ALL;
    ownFlush.operation = BlockChannel.OP_FLUSH;
    ownFlush.step = 0;
    ownFlush.step = handler.nextToFlush(ownFlush);
    if (ownFlush.step == 0) {
      context.reports().execute(whenDone);
    } else {
      run(ownFlush);
    }
    return true;
  }

  NvmeCommandTask ownFlush() {
    return ownFlush;
  }

  /** Whether a command still uses memory or a disk from before the last change. */
  boolean usesPrevious() {
    return previousHolderCount > 0;
  }

  /**
   * Memory or namespaces are others from now on: what waits with addresses of the old ones is read
   * again.
   */
  void nextGeneration(final List<SubmissionRing> rings) {
    generation++;
    for (final SubmissionRing ring : rings) {
      for (int slot = 0; slot < ring.taskCount(); slot++) {
        final NvmeCommandTask task = ring.task(slot);
        if (task.state == State.PREPARED) {
          buffers.release(task);
          task.state = State.FETCHED;
        }
      }
    }
    countHolders(rings);
  }

  private void countHolders(final List<SubmissionRing> rings) {
    previousHolderCount = isPreviousHolder(ownFlush) ? 1 : 0;
    for (final SubmissionRing ring : rings) {
      for (int slot = 0; slot < ring.taskCount(); slot++) {
        previousHolderCount += isPreviousHolder(ring.task(slot)) ? 1 : 0;
      }
    }
  }

  private boolean isPreviousHolder(final NvmeCommandTask task) {
    return task.state.isHeld() && task.generation != generation;
  }

  /** Recovery in place begins: nothing waits, nothing is executed, all buffers are free. */
  void forgetAll() {
    deferredFirst = 0;
    deferredCount = 0;
    executingCount = 0;
    buffers.forgetAll();
  }

  /** Recovery in place: the channel has this one, and what it borrowed. */
  void keep(final NvmeCommandTask task, final boolean isExecuting) {
    buffers.keep(task);
    if (isExecuting) {
      executingCount++;
      if (task.ring != null) {
        task.ring.executingCount++;
      }
    }
  }

  /** Recovery in place has judged every task. */
  void endRecovery(final List<SubmissionRing> rings) {
    countHolders(rings);
  }

  /** The channel holds nothing any more, whatever this task says. */
  void dropHeld(final NvmeCommandTask task) {
    release(task);
    if (task.state == State.ORPHAN) {
      task.state = State.FREE;
    } else {
      task.state = State.FETCHED;
      defer(task);
    }
  }

  void free() {
    buffers.free();
  }
}

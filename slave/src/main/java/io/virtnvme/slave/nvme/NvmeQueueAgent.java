package io.virtnvme.slave.nvme;

import io.virtnvme.ipc.memory.Mem;
import io.virtnvme.ipc.segment.SessionSegment.QueueCounter;
import io.virtnvme.slave.bdev.ReactorIo;
import io.virtnvme.slave.ring.RingAgent;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;

/**
 * One completion queue and all submission queues that complete into it, as one ring of a reactor.
 * They are recovered together, since a completion belongs to the one journal and its command to
 * another. Commands of I/O queues are carried out here, those of the admin queue by the control
 * thread. One reactor thread; the data path's calls do not allocate, block, log, or throw.
 *
 * <p>When memory that the completion queue lies in goes away, the ring stands still until it is
 * there again: a driver may move its queues only while the controller is off, but a front-end may
 * take memory away and bring it back at any time. While the function is no bus master, commands
 * that were fetched stand still as well.
 */
public final class NvmeQueueAgent implements RingAgent {
  private final QueueContext context;
  private final CompletionRing completion;
  private final CommandRunner runner;
  private final QueueRecovery recovery;

  /** By {@link SubmissionRing#index}; null where one went away. Replaced, never changed. */
  private SubmissionRing[] rings = new SubmissionRing[0];

  private AdminLine admin;
  private DmaMemory memory;

  /** Counts while a command uses what was there before a change. */
  private DmaMemory previousMemory;

  private ShadowDoorbells shadows;
  private int firstToPoll;
  private int stoppingCount;

  /** Nothing is touched before: the dead owner's requests may still run. */
  private boolean isStarted;

  private boolean isOpen;
  private final List<Runnable> whenOpen = new ArrayList<>();

  NvmeQueueAgent(final NvmeQueueSetup setup, final ReactorIo io, final int ringSlot) {
    this.context = setup.context();
    this.memory = setup.memory();
    this.previousMemory = setup.memory();
    this.shadows = new ShadowDoorbells(setup.shadowAddress(), setup.eventIndexAddress());
    this.completion = new CompletionRing(setup.completion(), context, setup.callFd());
    this.runner =
        new CommandRunner(setup, completion, io, ringSlot, setup.completion().entryCount());
    this.recovery = new QueueRecovery(completion, runner, context.reports());
    for (final SubmissionQueue queue : setup.submissions()) {
      add(queue);
    }
    completion.memory(memory);
    shadows.find(memory, completion, present());
  }

  private SubmissionRing add(final SubmissionQueue queue) {
    int index = 0;
    while (index < rings.length && rings[index] != null) {
      index++;
    }
    final SubmissionRing ring = new SubmissionRing(queue, context, index);
    final SubmissionRing[] more = Arrays.copyOf(rings, Math.max(rings.length, index + 1));
    more[index] = ring;
    rings = more;
    if (queue.queueId() == 0) {
      admin = new AdminLine(ring, completion, context.reports());
    }
    int commandCount = 0;
    for (final SubmissionRing each : present()) {
      commandCount += each.taskCount();
    }
    completion.ensureCapacity(commandCount);
    runner.ensureCapacity(commandCount);
    completion.journal().attach(ring.journal());
    ring.memory(memory);
    ring.counters().load();
    return ring;
  }

  private List<SubmissionRing> present() {
    final List<SubmissionRing> present = new ArrayList<>();
    for (final SubmissionRing ring : rings) {
      if (ring != null) {
        present.add(ring);
      }
    }
    return present;
  }

  private SubmissionRing find(final int queueId) {
    for (final SubmissionRing ring : rings) {
      if (ring != null && ring.queue().queueId() == queueId) {
        return ring;
      }
    }
    return null;
  }

  /** The completion queue that it runs. */
  public CompletionQueue queue() {
    return completion.queue();
  }

  @Override
  public int start(final long nowNs) {
    // A standby was given its rings while their owner lived, and counted on.
    for (final SubmissionRing ring : present()) {
      ring.counters().load();
    }
    runner.begin(nowNs);
    isStarted = true;
    if (completion.isMapped()) {
      return open();
    }
    recovery.openJournals(present());
    return 0;
  }

  /**
   * Takes over what is inflight, from a predecessor or from itself; may be called at any time.
   * Signals one interrupt, since the last one may be lost.
   *
   * @return how many commands are run again
   */
  private int open() {
    final int again = recovery.run(present(), admin);
    completion.call().force();
    isOpen = true;
    runner.runDeferred();
    final List<Runnable> actions = List.copyOf(whenOpen);
    whenOpen.clear();
    actions.forEach(Runnable::run);
    return again;
  }

  /**
   * Runs an action on this thread when what is inflight was taken over: now, or as soon as guest
   * memory has the completion queue. One that waits when the queues are stopped never runs.
   */
  public void whenOpen(final Runnable action) {
    if (isOpen) {
      action.run();
    } else {
      whenOpen.add(action);
    }
  }

  @Override
  public int poll(final long nowNs, final int limit) {
    runner.begin(nowNs);
    int moved = 0;
    if (runner.deferredCount() > 0) {
      moved = runner.runDeferred();
    }
    if (!isOpen || limit == 0) {
      return moved;
    }
    final SubmissionRing[] all = rings;
    // Another one first each time: one that always has much to do leaves the others their turn.
    firstToPoll = firstToPoll + 1 < all.length ? firstToPoll + 1 : 0;
    int index = firstToPoll;
    for (int i = 0; i < all.length && runner.deferredCount() == 0; i++) {
      if (all[index] != null) {
        moved += fetch(all[index], Math.min(limit, SubmissionRing.FETCH_MAX));
      }
      index = index + 1 < all.length ? index + 1 : 0;
    }
    return moved;
  }

  private int fetch(final SubmissionRing ring, final int limit) {
    final int count = Math.min(ring.fetchableCount(), limit);
    if (count == 0) {
      return 0;
    }
    final boolean isAdmin = ring.queue().queueId() == 0;
    if (!isAdmin && runner.rates().find()) {
      return fetchAdmitted(ring, count);
    }
    ring.fetch(count);
    for (int i = 0; i < count; i++) {
      if (isAdmin) {
        admin.hand(ring.fetched(i));
      } else {
        runner.run(ring.fetched(i));
      }
    }
    return count;
  }

  /** One by one: what a rate limit holds back stays with the guest. */
  private int fetchAdmitted(final SubmissionRing ring, final int count) {
    int fetched = 0;
    while (fetched < count
        && runner.deferredCount() == 0
        && runner.rates().isAdmitted(ring.nextNamespaceId(), runner.nowNs())) {
      ring.fetch(1);
      runner.run(ring.fetched(0));
      fetched++;
    }
    return fetched;
  }

  /** When the next command of a queue may be fetched. */
  private long fetchDueNs(final SubmissionRing ring) {
    return ring.queue().queueId() == 0
        ? Long.MIN_VALUE
        : runner.rates().dueNs(ring.nextNamespaceId());
  }

  @Override
  public void onIoEnd(final int tag, final int result) {
    runner.onIoEnd(taskOf(tag), result);
  }

  private NvmeCommandTask taskOf(final int tag) {
    return tag == CommandRunner.OWN_TAG
        ? runner.ownFlush()
        : rings[CommandRunner.ringIndex(tag)].task(CommandRunner.slot(tag));
  }

  @Override
  public int flush() {
    final int count = completion.post();
    final boolean interrupted = completion.interrupt();
    runner.addDiskCounters();
    for (final SubmissionRing ring : rings) {
      if (ring != null) {
        if (interrupted) {
          ring.counters().onCall();
        }
        ring.counters().store();
      }
    }
    if (stoppingCount > 0) {
      endStopping();
    }
    return count;
  }

  private void endStopping() {
    for (final SubmissionRing ring : present()) {
      if (ring.whenStopped != null && ring.executingCount == 0 && completion.postableCount() == 0) {
        completion.dropDone(ring);
        remove(ring);
      }
    }
  }

  private void remove(final SubmissionRing ring) {
    completion.journal().detach(ring.journal());
    final SubmissionRing[] fewer = rings.clone();
    fewer[ring.index] = null;
    rings = fewer;
    stoppingCount--;
    context.reports().execute(ring.whenStopped);
  }

  /**
   * Never: what a driver does wrong ends its commands, and a bad journal keeps a ring from
   * starting.
   */
  @Override
  public boolean isBroken() {
    return false;
  }

  @Override
  public String brokenReason() {
    return null;
  }

  @Override
  public boolean armKicks() {
    if (runner.runnableCount() > 0 || completion.postableCount() > 0) {
      return true;
    }
    if (!isOpen) {
      return false;
    }
    completion.armHead();
    for (final SubmissionRing ring : rings) {
      if (ring != null) {
        ring.armTail();
      }
    }
    // The driver stores its doorbell and then reads the event index; we the other way round.
    Mem.fullFence();
    boolean waits = completion.postableCount() > 0;
    for (final SubmissionRing ring : rings) {
      waits |= ring != null && ring.fetchableCount() > 0 && fetchDueNs(ring) <= runner.nowNs();
    }
    return waits;
  }

  @Override
  public long pollDueNs() {
    long due = Long.MAX_VALUE;
    if (isOpen && runner.rates().isOn()) {
      for (final SubmissionRing ring : rings) {
        if (ring != null && ring.fetchableCount() > 0) {
          due = Math.min(due, fetchDueNs(ring));
        }
      }
    }
    return due;
  }

  /** An event index that stays behind asks for nothing. */
  @Override
  public void disarmKicks() {}

  @Override
  public void onKick() {}

  /**
   * Commands that run, or wait for nothing but to be posted; not those of the control thread, nor
   * those that the journal keeps until the function is a bus master again.
   */
  @Override
  public int inFlightCount() {
    return runner.executingCount() - runner.outOfReachCount() + completion.postableCount();
  }

  @Override
  public int heldByChannelCount() {
    int count = runner.ownFlush().state.isHeld() ? 1 : 0;
    for (final SubmissionRing ring : present()) {
      for (int slot = 0; slot < ring.taskCount(); slot++) {
        count += ring.task(slot).state.isHeld() ? 1 : 0;
      }
    }
    return count;
  }

  @Override
  public int base() {
    return 0;
  }

  @Override
  public boolean isMemoryCutShort() {
    return memory.readable().isCutShort()
        || (runner.usesPrevious() && previousMemory.readable().isCutShort());
  }

  @Override
  public boolean usesPreviousMemory() {
    return runner.usesPrevious();
  }

  @Override
  public int recoverInPlace() {
    isOpen = false;
    if (completion.isMapped()) {
      return open();
    }
    recovery.keepHeld(present());
    return 0;
  }

  @Override
  public boolean awaitsIdle() {
    return recovery.isAnyHeld();
  }

  @Override
  public void onChannelIdle() {
    recovery.dropHeld(present());
    runner.runDeferred();
  }

  @Override
  public long completedCount() {
    long count = 0;
    for (final SubmissionRing ring : rings) {
      if (ring != null) {
        final long counters = context.countersAddress(ring.queue().queueId());
        count +=
            Mem.getLong(counters + QueueCounter.READ_OPS.offsetBytes())
                + Mem.getLong(counters + QueueCounter.WRITE_OPS.offsetBytes())
                + Mem.getLong(counters + QueueCounter.FLUSH_OPS.offsetBytes());
      }
    }
    return count;
  }

  /**
   * Begins to fetch from one more submission queue, or resumes it; one that runs already goes on.
   * For the admin queue: the control thread takes its commands from now on.
   *
   * @throws IllegalStateException when its journal must not be trusted
   */
  public void startSubmissions(final SubmissionQueue queue) {
    SubmissionRing ring = find(queue.queueId());
    if (ring == null) {
      ring = add(queue);
      shadows.find(memory, completion, present());
      if (isOpen) {
        open();
      } else {
        recovery.openJournals(present());
      }
    }
    if (admin != null) {
      admin.open();
    }
  }

  /**
   * Fetches no more from a submission queue; calls back on the control thread when none of its
   * commands runs and those that ended are posted, as far as there is room for them.
   */
  public void stopSubmissions(final int queueId, final Runnable whenStopped) {
    final SubmissionRing ring = find(queueId);
    if (ring == null) {
      context.reports().execute(whenStopped);
      return;
    }
    if (ring.whenStopped == null) {
      stoppingCount++;
    }
    ring.whenStopped = whenStopped;
  }

  /** Takes over a new memory map; see {@link #usesPreviousMemory} for running commands. */
  public void memory(final DmaMemory newMemory) {
    previousMemory = memory;
    memory = newMemory;
    runner.memory(newMemory);
    completion.memory(newMemory);
    for (final SubmissionRing ring : present()) {
      ring.memory(newMemory);
    }
    shadows.find(memory, completion, present());
    runner.nextGeneration(present());
    if (isStarted && !isOpen && completion.isMapped()) {
      open();
    }
  }

  /** Takes over other namespaces; see {@link #usesPreviousMemory} for running commands. */
  public void volumes(final List<NamespaceVolume> volumes) {
    if (!runner.usesPrevious()) {
      // From now on a command may be of the generation before, and yet use this memory.
      previousMemory = memory;
    }
    runner.volumes(volumes);
    runner.nextGeneration(present());
  }

  /**
   * Takes over the eventfds of all vectors, by number; -1 for none. A new one is signalled once,
   * since what the old one was to tell may be lost.
   */
  public void vectors(final int[] fds) {
    final int vector = completion.queue().vector();
    completion.call().update(vector >= 0 && vector < fds.length ? fds[vector] : -1);
    completion.call().force();
  }

  /** Takes over other shadow doorbells: {@link QueueHost#shadowDoorbells}. */
  public void shadowDoorbells(final long shadowAddress, final long eventIndexAddress) {
    shadows = new ShadowDoorbells(shadowAddress, eventIndexAddress);
    shadows.find(memory, completion, present());
  }

  /** Changes the cache mode of what is fetched from now on. */
  public void writeCache(final boolean on) {
    runner.handler().writeCache(on);
  }

  /**
   * Flushes all namespaces, then calls back on the control thread; false while another one runs.
   */
  public boolean flushAll(final Runnable whenDone) {
    return runner.flushAll(whenDone);
  }

  /** As {@link AdminRequest#transfer}; the status. */
  public int transfer(final long fetchNumber, final byte[] data) {
    return admin == null ? 0 : admin.transfer(fetchNumber, data, memory);
  }

  /** Ends an admin command; {@code whenPosted} runs on the control thread. */
  public void complete(
      final long fetchNumber, final int status, final int result, final Runnable whenPosted) {
    if (admin == null) {
      context.reports().execute(whenPosted);
    } else {
      admin.complete(fetchNumber, status, result, whenPosted);
    }
  }

  @Override
  public void free() {
    runner.free();
    completion.free();
    if (admin != null) {
      admin.free();
    }
  }
}

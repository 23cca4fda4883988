package io.virtnvme.slave.virtqueue;

import io.virtnvme.ipc.virtio.BlkFeature;
import io.virtnvme.ipc.virtio.BlkRequest;
import io.virtnvme.ipc.virtio.VirtioFeature;
import io.virtnvme.slave.bdev.BlockChannel;
import io.virtnvme.slave.bdev.RateGate;
import io.virtnvme.slave.blk.BlkCounters;
import io.virtnvme.slave.blk.BlkHandler;
import io.virtnvme.slave.blk.BlkTask;
import io.virtnvme.slave.ring.InPlaceRecovery;
import io.virtnvme.slave.ring.PollBudget;
import io.virtnvme.slave.ring.RingAgent;

/**
 * One running ring: takes requests from the guest, notes them in the inflight journal, gives them
 * to the block device, completes them. Made on the control thread; from {@link #start} on
 * everything runs on the reactor thread that owns the queue. Data-path calls do not allocate,
 * block, log, or throw.
 *
 * <p>A guest that breaks the rules gets an error for that request; if its ring cannot be trusted
 * any more, the ring is <i>broken</i>: nothing more is fetched, what runs is completed.
 *
 * <p>A request goes through {@link BlkTask.State}; the ring's layout (split or packed) is the
 * subclass's affair, as is its journal.
 */
public abstract class VirtqueueAgent {
  /** Requests published with one store of the used index, at most. */
  public static final int BATCH_MAX = 32;

  final int queueSize;
  final boolean eventIndex;
  final boolean indirectOffered;
  final TaskTable tasks;
  final ChainReader chain;
  final RingLog log;
  final BlkCounters counters;
  boolean logging;

  final BrokenRing broken = new BrokenRing();

  private final MemoryGenerations generations = new MemoryGenerations();
  private final TaskRepair repair;
  private final BlkHandler handler;
  private final CallLine call;
  private final PollBudget budget = new PollBudget();
  private final RateGate.Place rate;
  private final long tagBase;
  private QueueSetup setup;
  private long nowNs;
  private int inFlightCount;

  /** As {@link #rate} says it, once per duty cycle. */
  private boolean isLimited;

  private boolean kicksArmed;
  private boolean awaitsIdle;

  VirtqueueAgent(
      final QueueSetup setup,
      final BlockChannel channel,
      final RateGate gate,
      final int ringSlot,
      final int slotCount) {
    this.setup = setup;
    this.rate = gate.place();
    this.queueSize = setup.queueSize();
    this.eventIndex = VirtioFeature.has(setup.features(), VirtioFeature.RING_EVENT_IDX);
    this.indirectOffered = VirtioFeature.has(setup.features(), VirtioFeature.RING_INDIRECT_DESC);
    this.tasks = new TaskTable(slotCount);
    this.repair = new TaskRepair(tasks, generations);
    this.chain = new ChainReader(setup.memory());
    this.log = new RingLog(setup.memory(), effectiveLog(setup.log(), setup.features()));
    this.logging = log.isOn();
    this.counters = new BlkCounters(setup.countersAddress());
    this.handler =
        new BlkHandler(channel, setup.features(), setup.readOnly(), setup.serial(), counters);
    // Without FLUSH the driver cannot ask for durability, so every write must have it (5.2.5).
    handler.writeback(setup.writeback() && VirtioFeature.has(setup.features(), BlkFeature.FLUSH));
    this.call = new CallLine(setup.callFd());
    this.tagBase = (long) ringSlot << Integer.SIZE;
    this.kicksArmed = true;
  }

  /**
   * Makes the agent of a ring; stores nothing in ring or journal yet.
   *
   * @param setup the ring
   * @param channel the disk, as this reactor drives it
   * @param gate this reactor's way to the disk
   * @param ringSlot upper half of the tags given to the channel; the lower half comes back with
   *     {@link #onIoEnd}
   */
  public static VirtqueueAgent create(
      final QueueSetup setup, final BlockChannel channel, final RateGate gate, final int ringSlot) {
    return setup.packed()
        ? new PackedVirtqueueAgent(setup, channel, gate, ringSlot)
        : new SplitVirtqueueAgent(setup, channel, gate, ringSlot);
  }

  private static DirtyLog effectiveLog(final DirtyLog log, final long features) {
    return VirtioFeature.has(features, VirtioFeature.LOG_ALL) ? log : null;
  }

  /**
   * Initialises a new journal, or recovers an old one and runs what is inflight in it (what takes
   * long goes on in {@link #poll}); signals one call, since the last one of a predecessor may be
   * lost. A journal that cannot be used breaks the ring.
   *
   * @return how many requests were submitted again
   */
  public final int start() {
    counters.load();
    final int[] slots = new int[tasks.slotCount()];
    final int count = openJournal(slots);
    if (broken.isBroken()) {
      return 0;
    }
    for (int i = 0; i < count; i++) {
      tasks.task(slots[i]).state(BlkTask.State.FETCHED);
      tasks.task(slots[i]).recovered(true);
      tasks.defer(slots[i]);
    }
    inFlightCount = count;
    counters.onResubmitted(count);
    disarmKicks();
    runDeferred();
    call.force();
    flush();
    return count;
  }

  /**
   * Submits what had to wait for room, then fetches and submits new requests; publishes whole
   * batches of completions. What a rate limit holds back stays with the guest.
   *
   * @param limit how many to fetch at most; 0 fetches none (a stopping ring)
   * @return how many requests were moved
   */
  public final int poll(final int limit) {
    int moved = 0;
    budget.begin();
    isLimited = rate.isLimited();
    if (tasks.deferredCount() > 0) {
      moved = runDeferred();
    }
    if (limit > 0
        && !broken.isBroken()
        && tasks.deferredCount() == 0
        && (!isLimited || isAdmitted())) {
      moved += fetch(limit);
    }
    return moved;
  }

  private boolean isAdmitted() {
    return requestsWait() && rate.admits(nowNs);
  }

  private int runDeferred() {
    int moved = 0;
    while (tasks.deferredCount() > 0 && !budget.isSpent()) {
      final BlkTask task = tasks.task(tasks.firstDeferred());
      if (!execute(task)) {
        break;
      }
      spend(task);
      tasks.removeFirstDeferred();
      moved++;
    }
    return moved;
  }

  /**
   * Runs a request that was just noted in the journal; true unless it was deferred, so that
   * fetching must pause.
   */
  final boolean run(final BlkTask task) {
    task.state(BlkTask.State.FETCHED);
    task.recovered(false);
    inFlightCount++;
    if (execute(task)) {
      spend(task);
      return !budget.isSpent() && !broken.isBroken() && (!isLimited || rate.goesOn(nowNs));
    }
    tasks.defer(task.slot());
    return false;
  }

  private void spend(final BlkTask task) {
    if (task.state() == BlkTask.State.DONE) {
      budget.copied(task.dataBytes());
    } else {
      budget.handedOn(task.dataBytes());
    }
  }

  /** Brings a fetched or prepared request as far as possible; false if there is no room for it. */
  private boolean execute(final BlkTask task) {
    if (task.state() == BlkTask.State.FETCHED) {
      if (!tasks.takeBlock(task)) {
        return false;
      }
      task.begin(tasks.blockAddress(task), generations.current(), nowNs);
      chain.begin(task);
      if (!readChain(task) || !chain.findStatus()) {
        giveUp(task);
        return true;
      }
      if (!prepare(task)) {
        finish(task);
        return true;
      }
      task.state(BlkTask.State.PREPARED);
      if (isLimited) {
        rate.charge(task.operation(), task.dataBytes(), nowNs);
      }
    }
    return submit(task);
  }

  private boolean prepare(final BlkTask task) {
    if (chain.fault() != ChainReader.FAULT_NONE) {
      counters.onGuestFault();
      task.end(BlkRequest.STATUS_IOERR);
      return false;
    }
    final int status = handler.prepare(task);
    if (status != BlkHandler.PREPARED) {
      task.end(status);
      return false;
    }
    return true;
  }

  private boolean submit(final BlkTask task) {
    task.state(BlkTask.State.SUBMITTING);
    final int result = handler.submit(task, tagBase | task.slot());
    if (result == BlockChannel.PENDING) {
      task.state(BlkTask.State.SUBMITTED);
      return true;
    }
    if (result == BlockChannel.RETRY) {
      task.state(BlkTask.State.PREPARED);
      return false;
    }
    task.end(result == BlockChannel.DONE ? BlkRequest.STATUS_OK : BlkRequest.STATUS_IOERR);
    finish(task);
    return true;
  }

  /** An ended request becomes ready to be published. */
  private void finish(final BlkTask task) {
    handler.complete(task, nowNs);
    if (logging) {
      log.markTask(task);
    }
    generations.release(task);
    tasks.releaseBlock(task);
    task.state(BlkTask.State.DONE);
    tasks.addDone(task.slot());
  }

  /**
   * A request without status byte cannot be answered, and skipping it would tell the guest that all
   * is well.
   */
  private void giveUp(final BlkTask task) {
    counters.onGuestFault();
    broken.because(RingFault.NO_STATUS, task.slot(), chain.fault());
    tasks.releaseBlock(task);
    task.state(BlkTask.State.STUCK);
    inFlightCount--;
  }

  /**
   * Takes the end of a request that the channel had accepted.
   *
   * @param head lower half of its tag
   * @param result 0 or a negative error number
   */
  public final void onIoEnd(final int head, final int result) {
    final BlkTask task = tasks.task(head);
    switch (task.state()) {
      case SUBMITTED, SUBMITTING -> {
        task.end(result == BlockChannel.DONE ? BlkRequest.STATUS_OK : BlkRequest.STATUS_IOERR);
        finish(task);
      }
      case ORPHAN -> {
        generations.release(task);
        tasks.releaseBlock(task);
        task.state(BlkTask.State.FREE);
      }
      default -> {}
    }
  }

  /**
   * Publishes the completions gathered so far and signals the guest if it asked for that. Writes
   * the counters out.
   *
   * @return how many requests were published
   */
  public final int flush() {
    final int count = tasks.doneCount();
    while (tasks.doneCount() > 0) {
      publishBatch();
    }
    if (call.signal(takeCallDue())) {
      counters.onCall();
    }
    counters.store();
    return count;
  }

  /** Publishes up to {@link #BATCH_MAX} done requests. */
  final void publishBatch() {
    final int count = Math.min(tasks.doneCount(), BATCH_MAX);
    publish(count);
    for (int i = 0; i < count; i++) {
      tasks.task(tasks.doneAt(i)).state(BlkTask.State.FREE);
    }
    tasks.removeDone(count);
    inFlightCount -= count;
  }

  /**
   * Lets the guest kick from now on.
   *
   * @return true if requests arrived meanwhile that may be fetched: kicks are off again, go on
   *     polling
   */
  public final boolean armKicks() {
    if (tasks.deferredCount() > 0) {
      return true;
    }
    if (broken.isBroken()) {
      return false;
    }
    // Again even if armed: an event index that the ring has passed would bring no kick.
    kicksArmed = true;
    allowKicks();
    if (requestsWait() && !isHeldBack()) {
      disarmKicks();
      return true;
    }
    return false;
  }

  private boolean isHeldBack() {
    return isLimited && rate.dueNs() > nowNs;
  }

  /** When to poll again, whether or not the guest kicks: as {@link RingAgent#pollDueNs}. */
  public final long pollDueNs() {
    return isHeldBack() && requestsWait() ? rate.dueNs() : Long.MAX_VALUE;
  }

  /** Asks the guest not to kick: the ring is polled. */
  public final void disarmKicks() {
    if (kicksArmed) {
      kicksArmed = false;
      forbidKicks();
    }
  }

  /** Counts a kick that was received. */
  public final void onKick() {
    counters.onKick();
  }

  /**
   * Requests fetched and not published yet; without those of a broken ring that cannot be answered
   * at all.
   */
  public final int inFlightCount() {
    return inFlightCount;
  }

  /**
   * Requests that the channel holds: each of them will be reported with {@link #onIoEnd}, whatever
   * becomes of the ring. Looks at every slot: not for the data path.
   */
  public final int heldByChannelCount() {
    return repair.heldCount();
  }

  /**
   * Takes over a new memory map, dirty log and feature bits (only VHOST_F_LOG_ALL may change while
   * a ring runs). New requests use them at once; see {@link #usesPreviousMemory} for running ones.
   * The ring itself moves to its place in the new map.
   */
  public final void update(final GuestMemory memory, final DirtyLog newLog, final long features) {
    final GuestMemory before = setup.memory();
    final QueueSetup moved = setup.with(memory, newLog, features);
    if (moved == null) {
      broken.because(RingFault.MEMORY, setup.descriptorAddress(), setup.usedAddress());
    } else {
      setup = moved;
      onMoved(moved);
    }
    chain.memory(memory);
    log.update(memory, effectiveLog(newLog, features));
    logging = log.isOn();
    if (before != memory) {
      generations.next(tasks);
      usesPreviousMemory();
    }
  }

  /** Whether a running request still uses a memory map from before the last {@link #update}. */
  public final boolean usesPreviousMemory() {
    if (generations.isPreviousHeld()) {
      return true;
    }
    log.forgetPrevious();
    return false;
  }

  /** Takes over a new call descriptor; -1 for none. */
  public final void updateCall(final int fd) {
    call.update(fd);
  }

  /**
   * Sets the cache mode: false makes every write durable before it completes. Starts as negotiated
   * (VIRTIO_BLK_F_FLUSH).
   */
  public final void writeback(final boolean on) {
    handler.writeback(on);
  }

  /**
   * The time that requests fetched or completed from now on are stamped with; once per duty cycle.
   */
  public final void nowNs(final long timeNs) {
    nowNs = timeNs;
  }

  /**
   * Brings the agent back to a sound state after one of its methods was left by an Error in the
   * middle (a page fault elsewhere in the process makes the JVM throw an InternalError at any
   * point). Decides by {@link InPlaceRecovery}: as a successor would, but keeps what the channel
   * still holds, and what is done and not published yet.
   *
   * @return how many requests are submitted again
   */
  public final int recoverInPlace() {
    final int[] slots = new int[tasks.slotCount()];
    final int count = recoverJournal(slots);
    inFlightCount = repair.takeBack(slots, count);
    awaitsIdle = repair.heldCount() > 0;
    for (int slot = 0; slot < tasks.slotCount(); slot++) {
      if (tasks.task(slot).state() == BlkTask.State.ENDED) {
        finish(tasks.task(slot));
      }
    }
    final int resubmitted = tasks.deferredCount();
    counters.onResubmitted(resubmitted);
    runDeferred();
    call.force();
    return resubmitted;
  }

  /**
   * Whether {@link #onChannelIdle} is due after {@link #recoverInPlace}: the error may have hidden
   * whether the channel has a request, or its end. The reactor calls it when its device I/O has
   * nothing in flight any more.
   */
  public final boolean awaitsIdle() {
    return awaitsIdle;
  }

  /**
   * The channel holds nothing any more: what seems to be there was lost by the error, and is
   * submitted again.
   */
  public final void onChannelIdle() {
    awaitsIdle = false;
    counters.onResubmitted(repair.dropHeld());
    runDeferred();
  }

  /** Whether the ring is broken: see {@link #brokenReason}. */
  public final boolean isBroken() {
    return broken.isBroken();
  }

  /** Why the ring is broken, with the values, or null. Allocates: not for the data path. */
  public final String brokenReason() {
    return broken.reason();
  }

  /** The set-up as updated last. */
  public final QueueSetup setup() {
    return setup;
  }

  /** Frees private memory; the last call. Nothing may be in the channel. */
  public final void free() {
    handler.free();
    call.free();
    tasks.free();
  }

  /** The ring's base as VHOST_USER_GET_VRING_BASE answers it; valid when nothing is in flight. */
  public abstract int base();

  /**
   * Opens the journal at the start; slots of inflight requests in fetch order. Breaks the ring if
   * it cannot be used.
   */
  abstract int openJournal(int[] slotsOut);

  /** Recovers the journal and the ring's indices of a living agent; slots as above. */
  abstract int recoverJournal(int[] slotsOut);

  /** Fetches and runs up to {@code limit} requests; how many. */
  abstract int fetch(int limit);

  /** Gives a request's descriptors to the chain reader; false if it breaks the ring. */
  abstract boolean readChain(BlkTask task);

  /** Publishes the first {@code count} done requests as one batch. */
  abstract void publish(int count);

  /** Whether the guest wants to be signalled for what was published since this was asked last. */
  abstract boolean takeCallDue();

  /** Asks for a kick with the next request, and puts a full fence behind it. */
  abstract void allowKicks();

  abstract void forbidKicks();

  abstract boolean requestsWait();

  /** Takes over the ring's new addresses. */
  abstract void onMoved(QueueSetup moved);
}

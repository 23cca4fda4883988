package io.virtnvme.slave.qpair;

import io.virtnvme.ipc.memory.Mem;
import io.virtnvme.ipc.qpair.QpairRequest;
import io.virtnvme.ipc.qpair.QpairSegment;
import io.virtnvme.ipc.segment.SessionSegment.QueueCounter;
import io.virtnvme.journal.NvmeCqJournal;
import io.virtnvme.journal.NvmeSqJournal;
import io.virtnvme.slave.bdev.BlockChannel;
import io.virtnvme.slave.bdev.RateGate;
import io.virtnvme.slave.blk.BlkCounters;
import io.virtnvme.slave.qpair.QpairTask.State;
import io.virtnvme.slave.ring.InPlaceRecovery;
import io.virtnvme.slave.ring.PollBudget;
import io.virtnvme.slave.ring.RingAgent;
import io.virtnvme.slave.virtqueue.CallLine;

/**
 * One queue pair: fetches requests into the journal, gives them to the disk, posts their
 * completions. The client may store anything anywhere in the shared memory: doorbells are read once
 * and checked, requests are looked at in the journal's copy, and a client that does not take its
 * completions has its own requests wait. One reactor thread; the data path's calls do not allocate,
 * block, log, or throw.
 */
final class QpairAgent implements RingAgent {
  /** Requests fetched, or completions posted, with one commit, at most. */
  private static final int BATCH_MAX = 32;

  private static final int NONE = -1;
  private static final int QUEUE_ID = 1;

  private final QpairSetup setup;
  private final int entryCount;
  private final long segment;
  private final long requestsAddress;
  private final NvmeSqJournal requests;
  private final NvmeCqJournal completions;
  private final QpairRequests handler;
  private final BlkCounters counters;
  private final CallLine call;
  private final PollBudget budget = new PollBudget();
  private final RateGate.Place rate;
  private final QpairTask[] tasks;
  private final TaskQueue deferred;
  private final TaskQueue done;
  private final int[] fetched = new int[BATCH_MAX];
  private long nowNs;
  private int executingCount;
  private int head;
  private int faultyTail = NONE;
  private int faultyHead = NONE;
  private boolean kicksArmed = true;
  private boolean awaitsIdle;

  /** As {@link #rate} says it, once per duty cycle. */
  private boolean isLimited;

  QpairAgent(
      final QpairSetup setup, final BlockChannel channel, final RateGate gate, final int ringSlot) {
    this.setup = setup;
    this.rate = gate.place();
    this.entryCount = setup.entryCount();
    this.segment = setup.segmentAddress();
    this.requestsAddress = segment + QpairSegment.REQUESTS_OFFSET;
    this.requests =
        new NvmeSqJournal(QpairJournal.requests(setup.journalAddress()), QUEUE_ID, entryCount);
    this.completions =
        new NvmeCqJournal(QpairJournal.completions(setup.journalAddress()), entryCount);
    completions.ring(segment + QpairSegment.completionsOffset(entryCount));
    completions.attach(requests);
    this.counters = new BlkCounters(setup.countersAddress());
    this.handler =
        new QpairRequests(
            setup, channel, counters, segment + QpairSegment.poolOffset(entryCount), ringSlot);
    this.call = new CallLine(setup.callFd());
    this.tasks = new QpairTask[entryCount];
    for (int slot = 0; slot < entryCount; slot++) {
      tasks[slot] = new QpairTask(slot);
    }
    this.deferred = new TaskQueue(entryCount);
    this.done = new TaskQueue(entryCount);
  }

  @Override
  public int start(final long startNs) {
    nowNs = startNs;
    counters.load();
    openJournals();
    disarmKicks();
    return takeOver();
  }

  private void openJournals() {
    final long creation = setup.sessionId();
    if (completions.isNew(creation)) {
      completions.initialise(creation);
    }
    if (requests.isNew(creation)) {
      requests.initialise(creation);
    }
    requireUsable(completions.validate(creation));
    requireUsable(requests.validate(creation));
  }

  private static void requireUsable(final String complaint) {
    if (complaint != null) {
      throw new IllegalStateException(complaint);
    }
  }

  /**
   * Repairs the journals and judges every task: at the start nobody knows of any, after an error
   * they say what the channel holds and what has ended. One signal, since the last one may be lost.
   *
   * @return how many requests run again
   */
  private int takeOver() {
    if (completions.recover().inconsistencyCount() > 0) {
      counters.onGuestFault();
    }
    deferred.clear();
    done.clear();
    executingCount = 0;
    final int[] slots = new int[entryCount];
    final int count = requests.inflightSlots(slots);
    final boolean[] inJournal = new boolean[entryCount];
    for (int i = 0; i < count; i++) {
      inJournal[slots[i]] = true;
      judge(tasks[slots[i]], true);
    }
    for (final QpairTask task : tasks) {
      if (!inJournal[task.slot]) {
        judge(task, false);
      }
    }
    awaitsIdle = heldByChannelCount() > 0;
    findHead();
    final int again = deferred.count();
    counters.onResubmitted(again);
    call.force();
    runDeferred();
    return again;
  }

  private void judge(final QpairTask task, final boolean isInJournal) {
    switch (InPlaceRecovery.decide(task.state.progress, isInJournal)) {
      case FREE -> task.state = State.FREE;
      case RUN_AGAIN -> defer(task);
      case KEEP -> {
        task.state = State.HELD;
        executingCount++;
      }
      case ORPHAN -> task.state = State.ORPHAN;
      case PUBLISH -> done.add(task);
      case FINISH, STAY -> throw new IllegalStateException("no such state: " + task.state);
    }
  }

  private void defer(final QpairTask task) {
    task.state = State.FETCHED;
    executingCount++;
    deferred.add(task);
  }

  @Override
  public int poll(final long pollNs, final int limit) {
    nowNs = pollNs;
    budget.begin();
    isLimited = rate.isLimited() && !rate.passesHold(setup.readOnly());
    int moved = 0;
    if (deferred.count() > 0) {
      moved = runDeferred();
    }
    if (limit > 0 && deferred.count() == 0 && !budget.isSpent()) {
      final int count = Math.min(fetchableCount(), Math.min(limit, BATCH_MAX));
      moved += isLimited ? fetchAdmitted(count) : fetch(count);
    }
    return moved;
  }

  private int fetchableCount() {
    return Math.min(submittedCount(), requests.freeCount());
  }

  /** One by one: what a rate limit holds back stays with the client. */
  private int fetchAdmitted(final int count) {
    if (count == 0 || !rate.admits(nowNs)) {
      return 0;
    }
    int moved = 0;
    do {
      moved += fetch(1);
    } while (moved < count && deferred.count() == 0 && !budget.isSpent() && rate.goesOn(nowNs));
    return moved;
  }

  private int fetch(final int count) {
    if (count == 0) {
      return 0;
    }
    for (int i = 0; i < count; i++) {
      fetched[i] =
          requests.fetch(requestsAddress + (long) requests.nextIndex() * QpairRequest.LENGTH);
    }
    requests.fetchCommit();
    for (int i = 0; i < count; i++) {
      defer(tasks[fetched[i]]);
    }
    runDeferred();
    return count;
  }

  /** How many requests wait; a tail outside the queue is none, and counts as a fault once. */
  private int submittedCount() {
    final int tail = Mem.getIntAcquire(segment + QpairSegment.SQ_TAIL_OFFSET);
    if (tail < 0 || tail >= entryCount) {
      if (tail != faultyTail) {
        faultyTail = tail;
        counters.onGuestFault();
      }
      return 0;
    }
    faultyTail = NONE;
    return requests.submittedCount(tail);
  }

  private int runDeferred() {
    int moved = 0;
    while (deferred.count() > 0 && !budget.isSpent()) {
      final QpairTask task = deferred.get(0);
      final int result = handler.begin(task, requests.commandAddress(task.slot), nowNs);
      if (result == BlockChannel.RETRY) {
        break;
      }
      deferred.removeFirst(1);
      if (isLimited && task.lengthBytes > 0) {
        rate.charge(task.operation, task.lengthBytes, nowNs);
      }
      if (result == BlockChannel.PENDING) {
        budget.handedOn(task.lengthBytes);
      } else {
        budget.copied(task.lengthBytes);
        finish(task);
      }
      moved++;
    }
    return moved;
  }

  private void finish(final QpairTask task) {
    handler.count(task, nowNs);
    executingCount--;
    task.state = State.DONE;
    done.add(task);
  }

  @Override
  public void onIoEnd(final int tag, final int result) {
    final QpairTask task = tasks[tag];
    if (task.state == State.HELD) {
      task.status = -result;
      finish(task);
    } else if (task.state == State.ORPHAN) {
      task.state = State.FREE;
    }
  }

  /** A head that cannot be means that the queue is full, until it changes. */
  private void findHead() {
    final int value = Mem.getInt(segment + QpairSegment.CQ_HEAD_OFFSET);
    final int tail = completions.tail();
    final boolean isSound = value >= 0 && value < entryCount;
    head = isSound ? value : tail + 1 == entryCount ? 0 : tail + 1;
    faultyHead = isSound ? NONE : value;
  }

  /** The head, read once; one that is outside the queue or passes the tail does not count. */
  private int readHead() {
    final int value = Mem.getInt(segment + QpairSegment.CQ_HEAD_OFFSET);
    if (value == head || value == faultyHead) {
      return head;
    }
    if (value < 0
        || value >= entryCount
        || distance(head, value) > distance(head, completions.tail())) {
      faultyHead = value;
      counters.onGuestFault();
      return head;
    }
    faultyHead = NONE;
    head = value;
    return value;
  }

  private int distance(final int from, final int to) {
    final int distance = to - from;
    return distance < 0 ? distance + entryCount : distance;
  }

  private int postableCount() {
    return done.count() == 0 ? 0 : Math.min(done.count(), completions.room(readHead()));
  }

  @Override
  public int flush() {
    final int count = postableCount();
    for (int left = count; left > 0; left -= BATCH_MAX) {
      post(Math.min(left, BATCH_MAX));
    }
    boolean clientSleeps = false;
    if (count > 0) {
      Mem.fullFence();
      clientSleeps = Mem.getInt(segment + QpairSegment.CLIENT_SLEEPS_OFFSET) != 0;
    }
    if (call.signal(clientSleeps)) {
      counters.onCall();
    }
    counters.store();
    return count;
  }

  private void post(final int count) {
    for (int i = 0; i < count; i++) {
      final QpairTask task = done.get(i);
      completions.post(requests, task.slot, task.status, 0);
    }
    completions.postCommit();
    for (int i = 0; i < count; i++) {
      done.get(i).state = State.FREE;
    }
    done.removeFirst(count);
  }

  /** Never: what a client does wrong ends its requests, or has them wait. */
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
    if (deferred.count() > 0) {
      return true;
    }
    kicksArmed = true;
    Mem.putIntRelease(segment + QpairSegment.SLAVE_SLEEPS_OFFSET, 1);
    Mem.fullFence();
    if (postableCount() > 0 || (fetchableCount() > 0 && !isHeldBack())) {
      disarmKicks();
      return true;
    }
    return false;
  }

  private boolean isHeldBack() {
    return isLimited && rate.dueNs() > nowNs;
  }

  @Override
  public long pollDueNs() {
    return isHeldBack() && fetchableCount() > 0 ? rate.dueNs() : Long.MAX_VALUE;
  }

  @Override
  public void disarmKicks() {
    if (kicksArmed) {
      kicksArmed = false;
      Mem.putIntRelease(segment + QpairSegment.SLAVE_SLEEPS_OFFSET, 0);
    }
  }

  @Override
  public void onKick() {
    counters.onKick();
  }

  /** Without those that wait for a client that does not take its completions. */
  @Override
  public int inFlightCount() {
    return executingCount + postableCount();
  }

  @Override
  public int heldByChannelCount() {
    int count = 0;
    for (final QpairTask task : tasks) {
      count += task.state.progress == InPlaceRecovery.Progress.HELD ? 1 : 0;
    }
    return count;
  }

  @Override
  public int base() {
    return 0;
  }

  /** The memory is sealed. */
  @Override
  public boolean isMemoryCutShort() {
    return false;
  }

  @Override
  public boolean usesPreviousMemory() {
    return false;
  }

  @Override
  public int recoverInPlace() {
    return takeOver();
  }

  @Override
  public boolean awaitsIdle() {
    return awaitsIdle;
  }

  @Override
  public void onChannelIdle() {
    awaitsIdle = false;
    for (final QpairTask task : tasks) {
      if (task.state == State.HELD) {
        task.state = State.FETCHED;
        deferred.add(task);
        counters.onResubmitted(1);
      } else if (task.state == State.ORPHAN) {
        task.state = State.FREE;
      }
    }
    runDeferred();
  }

  @Override
  public long completedCount() {
    final long block = setup.countersAddress();
    return Mem.getLong(block + QueueCounter.READ_OPS.offsetBytes())
        + Mem.getLong(block + QueueCounter.WRITE_OPS.offsetBytes())
        + Mem.getLong(block + QueueCounter.FLUSH_OPS.offsetBytes());
  }

  @Override
  public void free() {
    handler.free();
    call.free();
  }
}

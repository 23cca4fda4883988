package io.virtnvme.slave.reactor;

import static io.virtnvme.ipc.segment.SeatSegment.DUTY_CYCLES_OFFSET;
import static io.virtnvme.ipc.segment.SeatSegment.HEARTBEAT_NS_OFFSET;
import static io.virtnvme.ipc.segment.SeatSegment.LONGEST_CYCLE_NS_OFFSET;
import static io.virtnvme.ipc.segment.SeatSegment.QUEUE_FAULTS_OFFSET;

import io.virtnvme.ipc.memory.Mem;
import io.virtnvme.ipc.relay.BdevHold;
import io.virtnvme.ipc.segment.SeatSegment;
import io.virtnvme.ipc.sys.SysException;
import io.virtnvme.slave.bdev.Bdev;
import io.virtnvme.slave.bdev.ReactorIo;
import io.virtnvme.slave.ring.RingSetup;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.locks.LockSupport;
import java.util.function.BooleanSupplier;
import java.util.function.IntConsumer;
import org.agrona.concurrent.ManyToOneConcurrentLinkedQueue;

/**
 * The main loop of one core: polls the rings and the devices of its seat's sessions, and sleeps on
 * their kick descriptors when nothing happens. Only the thread that holds the reactor's mutex calls
 * {@link #doWork}; other threads reach it through {@link #execute}.
 */
final class Reactor implements ReactorIo.Listener, AutoCloseable {
  private static final int COMMAND_LIMIT = 16;
  private static final int REQUEST_LIMIT = 32;
  private static final int IO_END_LIMIT = 64;
  private static final long FENCE_RETRY_NS = 50_000;
  private static final long SLEEP_NS_MAX = SeatSegment.SLEEP_MS_MAX * 1_000_000L;
  private static final long STEP_NS_MIN = 50_000;
  private static final long STEP_NS_MAX = 1_000_000;
  private static final int STEP_SHARE = 1000;

  private final long seatBlock;
  private final long idleSpinNs;
  private final ReactorEvents events;
  private final ReactorIo io;
  private final ManyToOneConcurrentLinkedQueue<Runnable> commands =
      new ManyToOneConcurrentLinkedQueue<>();
  private final RingTable rings = new RingTable();
  private final PollOrder order;
  private final KickWait kicks;
  private final List<Await> awaits = new ArrayList<>();

  // What a cycle asks first are fields, not calls into collections that all of the JVM shares:
  // their code is replaced when somebody else uses them in a new way.
  private volatile boolean commandsWait;
  private int awaitCount;
  private boolean settling;
  private int fencedCount;
  private int endingCount;
  private long lastFenceTryNs;
  private long lastWorkNs;
  private long lastCycleNs;
  private long dutyCycles;
  private long longestCycleNs;
  private int resubmittedCount;
  private long replayNs;
  private long fencePassedNs;

  /** What is asked at the end of each duty cycle, and done once it is so. */
  private record Await(BooleanSupplier isOver, Runnable whenDone) {}

  /**
   * Made on the control thread; {@code seatBlock} is the reactor's block of its seat segment.
   *
   * @param idleSpinNs how long to poll without finding work before going to sleep
   */
  Reactor(
      final long seatBlock, final long idleSpinNs, final ReactorIo io, final ReactorEvents events) {
    this(seatBlock, idleSpinNs, io, events, new PollOrder());
  }

  /** One that looks at its rings in another order than usual. */
  Reactor(
      final long seatBlock,
      final long idleSpinNs,
      final ReactorIo io,
      final ReactorEvents events,
      final PollOrder order) {
    this.order = order;
    this.seatBlock = seatBlock;
    this.idleSpinNs = idleSpinNs;
    this.io = io;
    this.events = events;
    this.kicks = new KickWait(seatBlock, rings, io);
  }

  /** The rings here; reactor thread. */
  RingTable rings() {
    return rings;
  }

  /** Runs a command on the reactor's thread; any thread. */
  void execute(final Runnable command) {
    commands.offer(command);
    commandsWait = true;
    kicks.wake();
  }

  /**
   * One duty cycle: commands, rings, devices, completions; each with a limit. Returns how much was
   * done; 0 lets {@link #idle} decide whether to sleep.
   */
  int doWork(final long nowNs) {
    beat(nowNs);
    if (settling) {
      return settle();
    }
    int workCount = commandsWait ? drainCommands() : 0;
    order.update(rings.started(), nowNs);
    workCount += pollIdle(nowNs);
    final Ring[] current = order.rings();
    final int count = order.busyCount();
    for (int i = 0; i < count; i++) {
      workCount += poll(current[i], nowNs);
    }
    workCount += io.poll(this, IO_END_LIMIT);
    for (int i = 0; i < count; i++) {
      workCount += flush(current[i], nowNs);
    }
    if (fencedCount > 0) {
      workCount += tryFences(nowNs);
    }
    if (endingCount > 0) {
      workCount += endRings();
    }
    if (awaitCount > 0) {
      workCount += endAwaits();
    }
    return workCount;
  }

  /** Those that turn out to have work are polled again at once, among the others. */
  private int pollIdle(final long nowNs) {
    int workCount = 0;
    for (int i = order.turnCount(nowNs); i > 0; i--) {
      final Ring ring = order.nextIdle();
      final int moved = poll(ring, nowNs) + flush(ring, nowNs);
      if (moved > 0) {
        order.onWork();
        workCount += moved;
      }
    }
    return workCount;
  }

  private int poll(final Ring ring, final long nowNs) {
    if (ring.state != Ring.State.RUNNING) {
      return 0;
    }
    final int moved = ring.agent.poll(nowNs, REQUEST_LIMIT);
    if (moved > 0) {
      ring.lastWorkNs = nowNs;
    }
    return moved;
  }

  private int flush(final Ring ring, final long nowNs) {
    if (ring.state != Ring.State.RUNNING && ring.state != Ring.State.STOPPING) {
      return 0;
    }
    final int moved = ring.agent.flush();
    if (moved > 0) {
      ring.lastWorkNs = nowNs;
    }
    if (ring.agent.isBroken()) {
      fail(ring.setup.sessionId(), ring.agent.brokenReason());
    }
    return moved;
  }

  private void beat(final long nowNs) {
    dutyCycles++;
    final long cycleNs = nowNs - lastCycleNs;
    if (lastCycleNs != 0 && cycleNs > longestCycleNs) {
      longestCycleNs = cycleNs;
      Mem.putLong(seatBlock + LONGEST_CYCLE_NS_OFFSET, longestCycleNs);
    }
    lastCycleNs = nowNs;
    Mem.putLong(seatBlock + DUTY_CYCLES_OFFSET, dutyCycles);
    Mem.putLongRelease(seatBlock + HEARTBEAT_NS_OFFSET, nowNs);
  }

  private int drainCommands() {
    // Before the queue is looked at: whoever offers later sets it again.
    commandsWait = false;
    int count = 0;
    while (count < COMMAND_LIMIT) {
      final Runnable command = commands.poll();
      if (command == null) {
        return count;
      }
      command.run();
      count++;
    }
    commandsWait = true;
    return count;
  }

  /**
   * After a duty cycle: sleeps once nothing was found for the idle spin time. {@code nowNs} is the
   * cycle's time.
   */
  void idle(final int workCount, final long nowNs) {
    if (workCount > 0) {
      lastWorkNs = nowNs;
    } else if (fencedCount > 0 && io.inFlightCount() == 0) {
      // The dead owner needs a core to finish dying on, and it may be ours.
      LockSupport.parkNanos(FENCE_RETRY_NS);
    } else if (nowNs - lastWorkNs > idleSpinNs && fencedCount == 0 && !settling) {
      sleep(nowNs - lastWorkNs);
    } else {
      Thread.onSpinWait();
    }
  }

  private void sleep(final long idleNs) {
    watchKicks();
    final boolean polledOnly = rings.anyPolledOnly();
    if (kicks.sleep(commands, polledOnly ? stepNs(idleNs) : SLEEP_NS_MAX)) {
      lastCycleNs = 0;
    }
    if (!polledOnly) {
      lastWorkNs = System.nanoTime();
    }
  }

  /** Here and not at the start of a ring: a guest waits for that one. */
  private void watchKicks() {
    for (final Ring ring : rings.started()) {
      if (!ring.kickWatched && ring.state == Ring.State.RUNNING) {
        try {
          kicks.watch(ring);
        } catch (final SysException e) {
          fail(ring.setup.sessionId(), "kick descriptor cannot be watched: " + e.getMessage());
        }
      }
    }
  }

  /**
   * How long to sleep when nothing announces the requests of some ring: the longer, the longer
   * nothing came. Such a sleep adds at most a thousandth to the pause before a request.
   */
  static long stepNs(final long idleNs) {
    return Math.min(STEP_NS_MAX, Math.max(STEP_NS_MIN, idleNs / STEP_SHARE));
  }

  @Override
  public void onIoEnd(final long tag, final int result) {
    final Ring ring = rings.at((int) (tag >>> Integer.SIZE));
    if (ring.state == Ring.State.ABANDONED) {
      ring.abandonedInFlightCount--;
    } else {
      ring.agent.onIoEnd((int) tag, result);
    }
  }

  /**
   * Makes a ring without starting it, so that a standby pays for it beforehand. Reactor thread, or
   * any before the seat is owned.
   */
  Ring make(final RingSetup setup) {
    return rings.make(setup, io);
  }

  /** Forgets a ring that was made and never started. */
  void discard(final Ring ring) {
    rings.remove(ring);
  }

  /**
   * Starts a ring that {@link #make} made, as soon as the fence of its device lets it. Reactor
   * thread.
   */
  void start(final Ring ring) {
    rings.start(ring);
    ring.state = Ring.State.FENCED;
    ring.completedBeforeCount = ring.agent.completedCount();
    if (!ring.setup.needsFence() || ring.setup.tryFence()) {
      run(ring);
    } else {
      fencedCount++;
    }
  }

  private void run(final Ring ring) {
    ring.state = Ring.State.RUNNING;
    final long beginNs = System.nanoTime();
    try {
      resubmittedCount += ring.agent.start(beginNs);
      ring.agent.flush();
    } catch (final IllegalStateException e) {
      // A journal that must not be trusted: this disk is set aside, the others go on.
      fail(ring.setup.sessionId(), e.getMessage());
    } catch (final InternalError e) {
      if (!recoverFromMemoryFault()) {
        throw e;
      }
    }
    replayNs += System.nanoTime() - beginNs;
  }

  private int tryFences(final long nowNs) {
    if (nowNs - lastFenceTryNs < FENCE_RETRY_NS) {
      return 0;
    }
    lastFenceTryNs = nowNs;
    int passed = 0;
    for (final Ring ring : rings.started()) {
      if (ring.state == Ring.State.FENCED && ring.setup.tryFence()) {
        fencedCount--;
        passed++;
        fencePassedNs = nowNs;
        run(ring);
        if (ring.whenStopped != null && ring.state == Ring.State.RUNNING) {
          ring.state = Ring.State.STOPPING;
        }
      }
    }
    return passed;
  }

  /**
   * Stops a ring: what runs ends and completes, then {@code whenStopped} is called on the control
   * thread. Reactor thread.
   */
  void stop(final long sessionId, final int queueIndex, final IntConsumer whenStopped) {
    final Ring ring = rings.find(sessionId, queueIndex);
    if (ring == null) {
      events.execute(() -> whenStopped.accept(-1));
      return;
    }
    stop(ring, whenStopped);
  }

  private void stop(final Ring ring, final IntConsumer whenStopped) {
    if (ring.whenStopped == null) {
      endingCount++;
      ring.whenStopped = whenStopped;
    } else {
      // Two resets may wait for the same ring, and each for an answer.
      ring.whenStopped = ring.whenStopped.andThen(whenStopped);
    }
    if (ring.state == Ring.State.RUNNING) {
      ring.state = Ring.State.STOPPING;
    }
  }

  private int endRings() {
    int ended = 0;
    for (final Ring ring : rings.started()) {
      final boolean over =
          switch (ring.state) {
            case STOPPING -> {
              // Requests that wait for room in the device go on; no new one is fetched.
              ring.agent.poll(lastCycleNs, 0);
              ring.agent.flush();
              yield ring.agent.inFlightCount() == 0;
            }
            case ABANDONED -> ring.abandonedInFlightCount == 0 && ring.whenStopped != null;
            case FENCED, RUNNING -> false;
          };
      if (over) {
        end(ring);
        ended++;
      }
    }
    return ended;
  }

  private void end(final Ring ring) {
    final int base = ring.state == Ring.State.STOPPING ? ring.agent.base() : -1;
    endingCount--;
    kicks.unwatch(ring);
    rings.remove(ring);
    final IntConsumer whenStopped = ring.whenStopped;
    events.execute(() -> whenStopped.accept(base));
  }

  /** Stops trusting a session: its rings here are never touched again. */
  void fail(final long sessionId, final String reason) {
    for (final Ring ring : rings.started()) {
      if (ring.setup.sessionId() == sessionId && ring.state != Ring.State.ABANDONED) {
        if (ring.state == Ring.State.FENCED) {
          fencedCount--;
        } else {
          ring.abandonedInFlightCount = ring.agent.heldByChannelCount();
        }
        ring.state = Ring.State.ABANDONED;
      }
    }
    events.onSessionFailed(sessionId, reason);
  }

  /** True when a ring of the session is here, in whatever state. Reactor thread. */
  boolean has(final long sessionId, final int queueIndex) {
    return rings.find(sessionId, queueIndex) != null;
  }

  /**
   * Runs {@code change}, which gives a session's rings a new memory map; {@code whenDone} runs on
   * this thread once no request uses the old one. Reactor thread.
   */
  void updateMemory(final long sessionId, final Runnable change, final Runnable whenDone) {
    change.run();
    await(() -> !rings.usesPreviousMemory(sessionId), whenDone);
  }

  /**
   * Runs something on this thread at the end of the first duty cycle in which a condition holds,
   * this one included. Reactor thread.
   */
  void await(final BooleanSupplier isOver, final Runnable whenDone) {
    awaits.add(new Await(isOver, whenDone));
    awaitCount++;
  }

  /**
   * Runs something on this thread when no request runs here any more of those for whom a disk is
   * held, or when the hold is over. Reactor thread.
   */
  void awaitHeld(final Bdev bdev, final BdevHold.Who who, final Runnable whenIdle) {
    await(() -> !rings.runsHeld(bdev, who) || bdev.limits().held() != who, whenIdle);
  }

  /** In the order in which they were asked for, as far as they are over. */
  private int endAwaits() {
    int ended = 0;
    int index = 0;
    for (int left = awaits.size(); left > 0; left--) {
      final Await await = awaits.get(index);
      if (await.isOver().getAsBoolean()) {
        awaits.remove(index);
        awaitCount--;
        await.whenDone().run();
        ended++;
      } else {
        index++;
      }
    }
    return ended;
  }

  /**
   * A load or store of guest memory hit a page that its owner cut off: the JVM turned SIGBUS into
   * an error that may have left any ring of this reactor in the middle of a step. The sessions
   * whose memory is short are abandoned; every other ring is brought back to a consistent state
   * from its journal. False when no memory is short: then the fault is ours.
   */
  boolean recoverFromMemoryFault() {
    // It may have been a command that met the fault, with others behind it.
    commandsWait = true;
    boolean found = false;
    for (final Ring ring : rings.started()) {
      // The kernel may still be reading into an abandoned ring's memory through a bounce buffer.
      final boolean touched = ring.state != Ring.State.ABANDONED || ring.abandonedInFlightCount > 0;
      if (touched && ring.agent.isMemoryCutShort()) {
        found = true;
        Mem.putLongRelease(
            seatBlock + QUEUE_FAULTS_OFFSET, Mem.getLong(seatBlock + QUEUE_FAULTS_OFFSET) + 1);
        if (ring.state != Ring.State.ABANDONED) {
          fail(ring.setup.sessionId(), "guest memory was cut short under a running ring");
        }
      }
    }
    if (found) {
      io.recover();
      for (final Ring ring : rings.started()) {
        if (ring.state == Ring.State.RUNNING || ring.state == Ring.State.STOPPING) {
          ring.agent.recoverInPlace();
        }
      }
      settling = true;
    }
    return found;
  }

  /**
   * After a memory fault: nothing new is fetched until the kernel holds nothing of ours any more.
   */
  private int settle() {
    final int ended = io.poll(this, IO_END_LIMIT);
    if (io.inFlightCount() > 0) {
      return ended;
    }
    settling = false;
    for (final Ring ring : rings.started()) {
      if (ring.state == Ring.State.ABANDONED) {
        ring.abandonedInFlightCount = 0;
      } else if (ring.agent.awaitsIdle()) {
        ring.agent.onChannelIdle();
      }
    }
    return ended + 1;
  }

  /** Asks every ring to stop fetching; the seat can be left when none is left. Reactor thread. */
  void stopAll() {
    for (final Ring ring : rings.started()) {
      if (ring.whenStopped == null) {
        stop(ring, base -> {});
      }
    }
  }

  int resubmittedCount() {
    return resubmittedCount;
  }

  long replayNs() {
    return replayNs;
  }

  /** Whether a ring waits until the dead owner's requests have let go of its disk. */
  boolean awaitsFence() {
    return fencedCount > 0;
  }

  /** When the last fence was passed, 0 when there was none. */
  long fencePassedNs() {
    return fencePassedNs;
  }

  /**
   * Gives back everything, rings that were left in the middle included; nobody may use the reactor
   * any more.
   */
  @Override
  public void close() {
    rings.close();
    io.close();
    kicks.close();
  }
}

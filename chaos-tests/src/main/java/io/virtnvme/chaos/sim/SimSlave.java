package io.virtnvme.chaos.sim;

import io.virtnvme.ipc.memory.Mem;
import io.virtnvme.ipc.segment.SeatSegment;
import io.virtnvme.slave.reactor.ReactorEvents;
import io.virtnvme.slave.reactor.SteppedSeat;
import java.util.ArrayDeque;
import java.util.Deque;
import java.util.SplittableRandom;

/**
 * A slave process: the product's reactors and sessions, and a control thread that is stepped like
 * them. It dies before any store it makes.
 */
final class SimSlave implements ReactorEvents {
  /** What became of the process. */
  enum State {
    RUNNING,
    HUNG,
    DEAD
  }

  private final World world;
  private final int number;
  private final SteppedSeat seat;
  private final SlaveSessions sessions;
  private final Deque<Runnable> tasks = new ArrayDeque<>();
  private final Deque<Letter> inbox = new ArrayDeque<>();
  private final SplittableRandom random;
  private final long[] seatBlocks;
  private final Mem.StoreListener onStore = (address, lengthBytes) -> countStore();
  private State state = State.RUNNING;
  private int storesLeft;
  private int hungUntil;
  private int masterNumber;
  private int turn;
  private boolean leaving;
  private boolean released;

  SimSlave(final World world, final int number, final SplittableRandom random) {
    this.world = world;
    this.number = number;
    this.random = random;
    this.seatBlocks = new long[world.plan().reactorCount()];
    for (int i = 0; i < seatBlocks.length; i++) {
      seatBlocks[i] = Mem.allocate(SeatSegment.REACTOR_LENGTH);
    }
    this.seat = new SteppedSeat(seatBlocks, () -> new SimIo(world, this), this);
    this.sessions = new SlaveSessions(world, this, seat, new SimIo.OpenDisk(world, this));
  }

  int number() {
    return number;
  }

  /** The how-manieth owner of the seat it is; 0 before it takes it. */
  int turn() {
    return turn;
  }

  void turn(final int newTurn) {
    turn = newTurn;
  }

  boolean isDead() {
    return state == State.DEAD;
  }

  boolean isRunning() {
    return state == State.RUNNING;
  }

  boolean isHung() {
    return state == State.HUNG;
  }

  /** The master that it is connected to; 0 for none. */
  int masterNumber() {
    return masterNumber;
  }

  boolean ownsSeat() {
    return seat.isOwned();
  }

  /** Whether it has the session's socket, or will have read it before it misses its master. */
  boolean has(final long sessionId) {
    return sessions.has(sessionId)
        || inbox.stream()
            .anyMatch(
                letter -> letter.kind == Letter.Kind.SESSION && letter.sessionId == sessionId);
  }

  void dieAfter(final int stores) {
    storesLeft = stores;
  }

  void hangUntil(final int step) {
    state = State.HUNG;
    hungUntil = step;
  }

  /** Wakes up if it is time; nobody told it that it hung. */
  void wake(final int step) {
    if (state == State.HUNG && step >= hungUntil) {
      state = State.RUNNING;
    }
  }

  /** Ends in good order: rings stop, then the process does. */
  void leave() {
    leaving = true;
  }

  /** Only the world says that a slave is dead. */
  void dead() {
    state = State.DEAD;
  }

  void receive(final Letter letter) {
    if (isDead()) {
      letter.drop();
    } else {
      inbox.add(letter);
    }
  }

  /** A reactor's turn: takes its seat if it can, or works. */
  void stepReactor() {
    final int reactor = random.nextInt(seatBlocks.length);
    if (seat.isOwned(reactor)) {
      run(
          () -> {
            if (leaving) {
              seat.stopRings(reactor);
            }
            seat.doWork(reactor, world.nowNs());
          });
      if (leaving && !isDead() && seat.ringCount() == 0) {
        world.onDeath(this, "left");
      }
    } else if (reactor == 0 && !leaving && world.takeSeat(this)) {
      world.trace().note("takes the seat", number);
      tasks.add(() -> sessions.onSeatOwned());
      run(() -> seat.takeOver(0));
    } else if (seat.isOwned(0)) {
      run(() -> seat.takeOver(reactor));
    }
  }

  /** The control thread's turn. */
  void stepControl() {
    if (!inbox.isEmpty() && !leaving && (tasks.isEmpty() || random.nextBoolean())) {
      final Letter letter = inbox.remove();
      run(() -> sessions.onLetter(letter));
    } else if (!tasks.isEmpty()) {
      run(tasks.remove());
    } else if (!leaving && !isConnected()) {
      // What a dead master had sent was read to its end before.
      masterNumber = 0;
      if (world.master() != null) {
        masterNumber = world.master().number();
        run(sessions::handBack);
      }
    } else if (!leaving) {
      run(sessions::refresh);
    }
  }

  private boolean isConnected() {
    return world.master() != null && world.master().number() == masterNumber;
  }

  private void run(final Runnable code) {
    if (World.RECORDING) {
      Mem.listener(onStore);
    }
    try {
      code.run();
    } catch (final Killed e) {
      world.onDeath(this, "killed at a store");
    } catch (final RuntimeException e) {
      throw new Violation("slave " + number + " failed", e);
    } finally {
      if (World.RECORDING) {
        Mem.listener(null);
      }
    }
  }

  private void countStore() {
    world.countStore();
    if (storesLeft > 0) {
      storesLeft--;
      if (storesLeft == 0) {
        throw new Killed();
      }
    }
  }

  /** The kernel has nothing of a dead slave's any more: its memory goes. */
  void release() {
    if (!released) {
      released = true;
      inbox.forEach(Letter::drop);
      sessions.release();
      seat.close();
      for (final long block : seatBlocks) {
        Mem.free(block);
      }
    }
  }

  @Override
  public void onSeatOwned(final int seatId) {
    throw new UnsupportedOperationException("stepped seats do not say this");
  }

  @Override
  public void onTakeoverMeasured(final int seatId) {
    throw new UnsupportedOperationException("stepped seats do not say this");
  }

  @Override
  public void onSessionFailed(final long sessionId, final String reason) {
    throw new Violation("slave " + number + " gives up session " + sessionId + ": " + reason);
  }

  @Override
  public void onSeatReleased(final int seatId) {
    throw new UnsupportedOperationException("stepped seats do not say this");
  }

  @Override
  public void execute(final Runnable task) {
    tasks.add(task);
  }

  @Override
  public void onFatal(final Throwable error) {
    throw new Violation("slave " + number + " ends itself", error);
  }
}

package io.virtnvme.slave.reactor;

import io.virtnvme.ipc.segment.SeatSegment;
import io.virtnvme.ipc.segment.SegmentDirectory;
import io.virtnvme.ipc.segment.SessionSegment;
import io.virtnvme.ipc.sys.Processes;
import io.virtnvme.slave.bdev.ReactorIo;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import java.util.function.Supplier;

/**
 * Hands a private seat from thread to thread, so that no class is loaded and no method interpreted
 * for the first time in a real takeover. Part of {@link WarmUp}, on its thread.
 */
final class TakeoverRehearsal {
  /** Above the number of calls after which the JVM compiles a method. */
  private static final int ROUNDS = 120;

  private static final long LIMIT_SECONDS = 20;
  private static final long SESSION_ID = 1;
  private static final long RECORD_VERSION = 1;
  private static final long IDLE_SPIN_NS = 10_000;

  private TakeoverRehearsal() {}

  /** Runs it with the ring of this guest, which nobody else serves. */
  static void run(
      final SegmentDirectory segments,
      final Supplier<ReactorIo> ioFactory,
      final RehearsalGuest guest) {
    final SegmentDirectory own =
        new SegmentDirectory(
            segments.path().resolve(".rehearsal-" + Processes.currentPid()),
            segments.instanceId(),
            segments.bootId());
    try {
      own.create();
      SeatSegment.create(own, 0, 1).close();
      try (SessionSegment session = SessionSegment.create(own, SESSION_ID)) {
        session.applying(RECORD_VERSION);
        handRound(own, ioFactory, guest, session);
      }
      delete(own.seat(0));
      delete(own.session(SESSION_ID));
      delete(own.path());
    } catch (final IOException e) {
      throw new IllegalStateException("self-check failed: " + e.getMessage(), e);
    }
  }

  private static void delete(final Path path) throws IOException {
    Files.deleteIfExists(path);
  }

  private static void handRound(
      final SegmentDirectory segments,
      final Supplier<ReactorIo> ioFactory,
      final RehearsalGuest guest,
      final SessionSegment session) {
    Player owner = new Player(segments, ioFactory);
    owner.await(owner.owned);
    for (int i = 0; i < ROUNDS; i++) {
      final Player next = new Player(segments, ioFactory);
      next.seat.prepare(
          new PreparedSession(
              SESSION_ID, RECORD_VERSION, session, List.of(guest.setup(guest.bdev()))));
      owner.seat.release();
      owner.await(owner.released);
      next.await(next.owned);
      owner.seat.close();
      owner = next;
    }
    owner.seat.release();
    owner.await(owner.released);
    owner.seat.close();
  }

  /** One process's part, played by a thread. */
  private static final class Player implements ReactorEvents {
    final CountDownLatch owned = new CountDownLatch(1);
    final CountDownLatch released = new CountDownLatch(1);
    final Seat seat;

    Player(final SegmentDirectory segments, final Supplier<ReactorIo> ioFactory) {
      seat =
          new Seat(
              0, SeatSegment.open(segments, 0), new int[0], false, IDLE_SPIN_NS, ioFactory, this);
    }

    void await(final CountDownLatch latch) {
      try {
        if (!latch.await(LIMIT_SECONDS, TimeUnit.SECONDS)) {
          throw new IllegalStateException("self-check failed: the seat was not handed over");
        }
      } catch (final InterruptedException e) {
        Thread.currentThread().interrupt();
        throw new IllegalStateException("self-check interrupted", e);
      }
    }

    @Override
    public void onSeatOwned(final int seatId) {
      owned.countDown();
    }

    @Override
    public void onTakeoverMeasured(final int seatId) {}

    @Override
    public void onSessionFailed(final long sessionId, final String reason) {
      throw new IllegalStateException("self-check failed: " + reason);
    }

    @Override
    public void onSeatReleased(final int seatId) {
      released.countDown();
    }

    @Override
    public void execute(final Runnable task) {
      task.run();
    }

    @Override
    public void onFatal(final Throwable error) {
      throw new IllegalStateException("self-check failed", error);
    }
  }
}

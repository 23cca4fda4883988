package io.virtnvme.master.supervisor;

import io.virtnvme.ipc.relay.BdevHold;
import io.virtnvme.ipc.relay.RelayMessageType;
import io.virtnvme.ipc.sys.Errno;
import io.virtnvme.master.relay.EventLoop;
import io.virtnvme.master.rpc.BdevKind;
import io.virtnvme.master.rpc.BdevMigration;
import io.virtnvme.master.rpc.BdevMigration.State;
import io.virtnvme.master.rpc.RpcException;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.TimeUnit;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Bdevs that stand still, for a moment or for good, because they are on their way between two
 * hosts. Conductor thread; the caller begins one change at a time.
 *
 * <p>A hold for a moment is told to slaves with its end, so it needs nobody to end: a master that
 * dies leaves nothing behind. It becomes one for good if every slave knows so before that end.
 */
final class Holds {
  private static final Logger LOG = LoggerFactory.getLogger(Holds.class);

  private final SlaveRequests requests;
  private final EventLoop loop;

  /** Starts anew with each master: a number of a dead one must not mean anything. */
  private long lastId = System.nanoTime();

  Holds(final SlaveRequests requests, final EventLoop loop) {
    this.requests = requests;
    this.loop = loop;
  }

  CompletableFuture<Long> hold(final BdevEntry entry, final int limitMs) {
    requireContent(entry);
    final State state = entry.spec().migration().state();
    if (entry.holdId() != 0 || (state != State.NONE && state != State.OWNED)) {
      throw new RpcException(
          RpcException.EBUSY,
          "bdev "
              + entry.name()
              + (entry.holdId() != 0 ? " is held already" : describe(entry.spec().migration())));
    }
    final long id = ++lastId;
    final long limitNs = TimeUnit.MILLISECONDS.toNanos(limitMs);
    final BdevHold hold = new BdevHold(BdevHold.Who.WRITERS, System.nanoTime() + limitNs);
    entry.hold(hold, id);
    loop.after(limitNs, () -> end(entry, id));
    return tellAndWait(entry, hold, true)
        .handle(
            (done, failure) -> {
              if (failure != null) {
                end(entry, id);
                throw failed(entry, failure);
              }
              requireHold(entry, id);
              return id;
            });
  }

  /**
   * Tells who waits, and ends when nothing of those runs any more. The owner is asked last: what
   * its predecessor left to it is among what it waits for.
   *
   * @param isUsed without an owner nobody knows what runs; of a bdev that nobody uses, nothing does
   */
  private CompletableFuture<Void> tellAndWait(
      final BdevEntry entry, final BdevHold hold, final boolean isUsed) {
    return requests
        .askAll(entry, RelayMessageType.BDEV_HOLD, hold::write)
        .thenCompose(
            answer ->
                answer.errno() != 0
                    ? CompletableFuture.completedFuture(answer)
                    : requests.askOwner(entry, RelayMessageType.BDEV_HOLD, hold::write))
        .thenApply(
            answer -> {
              if (isUsed && answer.equals(SlaveRequests.NO_OWNER)) {
                throw new RpcException(
                    RpcException.EAGAIN,
                    "bdev " + entry.name() + " has lost its slave just now; try again");
              }
              if (answer.errno() != 0) {
                throw new RpcException(
                    answer.errno() == Errno.ETIME ? RpcException.ETIMEDOUT : -answer.errno(),
                    "bdev " + entry.name() + " cannot be held: " + answer.text());
              }
              return null;
            });
  }

  private static void requireContent(final BdevEntry entry) {
    if (entry.spec().kind() == BdevKind.NULL || !entry.isKnown()) {
      throw new RpcException(
          RpcException.ENOTSUP, "bdev " + entry.name() + " has no content that could be moved");
    }
  }

  private static String describe(final BdevMigration migration) {
    return switch (migration.state()) {
      case NONE -> " is here";
      case RECEIVING -> " is being received from " + migration.peer();
      case PREPARED -> " waits for the word of " + migration.peer();
      case OWNED -> " has come from " + migration.peer();
      case MOVED -> " was moved to " + migration.peer();
    };
  }

  private static RpcException failed(final BdevEntry entry, final Throwable failure) {
    final Throwable cause = Bdevs.cause(failure);
    return cause instanceof RpcException rpc
        ? rpc
        : new RpcException(
            RpcException.INTERNAL_ERROR, "bdev " + entry.name() + ": " + cause.getMessage());
  }

  private static void requireHold(final BdevEntry entry, final long id) {
    if (entry.holdId() != id) {
      throw new RpcException(
          RpcException.ETIMEDOUT, "the hold of bdev " + entry.name() + " has ended");
    }
  }

  /** Also when slaves have ended it by themselves: they forget it, and their reactors wake up. */
  private void end(final BdevEntry entry, final long id) {
    if (entry.holdId() == id) {
      apply(entry, entry.spec().migration());
    }
  }

  private void apply(final BdevEntry entry, final BdevMigration migration) {
    entry.spec(entry.spec().withMigration(migration));
    entry.hold(migration.hold(), 0);
    requests.tellAll(entry, RelayMessageType.BDEV_HOLD, entry.hold()::write);
  }

  void release(final BdevEntry entry, final long id) {
    if (entry.holdId() != id) {
      throw new RpcException(
          RpcException.ENOENT, "the hold " + id + " of bdev " + entry.name() + " has ended");
    }
    final boolean isOver = System.nanoTime() > entry.hold().untilNs();
    end(entry, id);
    if (isOver) {
      // Slaves ended it by themselves, before the timer here came to run.
      throw new RpcException(
          RpcException.ENOENT, "the hold " + id + " of bdev " + entry.name() + " has run out");
    }
  }

  /**
   * Takes a step of a migration.
   *
   * @param holdId the hold that must not have ended; 0 for none
   * @param isUsed whether guests or secondaries may use the bdev
   */
  CompletableFuture<Void> migrate(
      final BdevEntry entry, final BdevMigration to, final long holdId, final boolean isUsed) {
    final BdevMigration from = entry.spec().migration();
    if (to.state() == State.NONE) {
      LOG.warn("bdev {}{}, and is anybody's from now on", entry.name(), describe(from));
      apply(entry, to);
      return CompletableFuture.completedFuture(null);
    }
    requireContent(entry);
    requireStep(entry, from, to);
    if (to.state() == State.OWNED || from.hold().equals(to.hold())) {
      // Who waits goes on to wait: see serve.
      entry.spec(entry.spec().withMigration(to));
      return CompletableFuture.completedFuture(null);
    }
    if (holdId != 0) {
      requireHold(entry, holdId);
    }
    final long untilNs = holdId == 0 ? BdevHold.UNLIMITED : entry.hold().untilNs();
    // First, so that a slave which comes while the others are asked is told as well.
    entry.spec(entry.spec().withMigration(to));
    final BdevHold hold = to.hold();
    entry.hold(hold, 0);
    LOG.info("bdev {}{}", entry.name(), describe(to));
    return tellAndWait(entry, hold, isUsed)
        .handle(
            (done, failure) -> {
              if (failure != null) {
                apply(entry, from);
                throw failed(entry, failure);
              }
              if (System.nanoTime() > untilNs) {
                // A slave may have let requests begin before it was told.
                apply(entry, from);
                requireHold(entry, holdId);
              }
              return null;
            });
  }

  /** The steps that a migration takes, each of them also twice; all else is for the operator. */
  private static void requireStep(
      final BdevEntry entry, final BdevMigration from, final BdevMigration to) {
    final boolean same = from.source().equals(to.source());
    final boolean again = same && from.state() == to.state();
    final boolean allowed =
        switch (to.state()) {
          case NONE -> true;
          case RECEIVING ->
              from.state() == State.NONE || (same && from.state() == State.PREPARED) || again;
          case PREPARED -> (same && from.state() == State.RECEIVING) || again;
          case OWNED -> (same && from.state() == State.PREPARED) || again;
          case MOVED -> from.state() == State.NONE || from.state() == State.OWNED || again;
        };
    if (!allowed) {
      throw new RpcException(
          RpcException.EBUSY,
          "bdev "
              + entry.name()
              + describe(from)
              + " (uuid "
              + from.source()
              + "); if that is over for good, clear it with state none");
    }
  }

  /** Guests go on. */
  void serve(final BdevEntry entry) {
    if (entry.spec().migration().state() == State.OWNED) {
      LOG.info("bdev {}{}", entry.name(), describe(entry.spec().migration()));
      apply(entry, entry.spec().migration());
    }
  }
}

package io.virtnvme.master.supervisor;

import io.virtnvme.ipc.relay.RelayMessageType;
import io.virtnvme.ipc.relay.RelayWriter;
import io.virtnvme.ipc.sys.Errno;
import io.virtnvme.master.relay.EventLoop;
import io.virtnvme.master.rpc.RpcException;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CompletableFuture;
import java.util.function.Consumer;

/**
 * What slaves are told and asked about bdevs, and what they answer: each question ends by its
 * answer, by the death of the slave, or in time. Conductor thread; stages complete on it.
 */
final class SlaveRequests {
  /** Nobody was asked, or the one who was is dead: its successor is told how things are. */
  static final Answer NO_OWNER = new Answer(0, "nobody to ask", 0);

  /** What a slave answered about a bdev. */
  record Answer(int errno, String text, long blockCount) {
    /** The failure that it stands for, or nothing. */
    CompletableFuture<Void> stage() {
      return errno == 0
          ? CompletableFuture.completedFuture(null)
          : CompletableFuture.failedFuture(failure());
    }

    RpcException failure() {
      return new RpcException(-errno, text);
    }
  }

  private record Request(Slave slave, CompletableFuture<Answer> answer, EventLoop.Timer timer) {}

  private final long answerNsMax;
  private final EventLoop loop;
  private final Slaves slaves;
  private final Seats seats;
  private final Map<Long, Request> requests = new HashMap<>();
  private long lastSequence;

  SlaveRequests(
      final long answerNsMax, final EventLoop loop, final Slaves slaves, final Seats seats) {
    this.answerNsMax = answerNsMax;
    this.loop = loop;
    this.slaves = slaves;
    this.seats = seats;
  }

  /** Those that serve the bdev or would. */
  private List<Slave> watchersOf(final BdevEntry entry) {
    return slaves.reachable().stream()
        .filter(slave -> slave.watchedSeats().contains(entry.seat()))
        .toList();
  }

  private Slave ownerOf(final BdevEntry entry) {
    return seats.seat(entry.seat()).owner();
  }

  /** Tells one slave; what it says to that is no answer to a question. */
  void tell(
      final Slave slave,
      final BdevEntry entry,
      final RelayMessageType type,
      final Consumer<RelayWriter> body) {
    send(slave, entry.id(), type, 0, body);
  }

  /** Tells every slave that serves the bdev or would. */
  void tellAll(
      final BdevEntry entry, final RelayMessageType type, final Consumer<RelayWriter> body) {
    watchersOf(entry).forEach(slave -> tell(slave, entry, type, body));
  }

  /** Tells every slave that would serve the bdev, and does not. */
  void tellOthers(
      final BdevEntry entry, final RelayMessageType type, final Consumer<RelayWriter> body) {
    final Slave owner = ownerOf(entry);
    watchersOf(entry).stream()
        .filter(slave -> slave != owner)
        .forEach(slave -> tell(slave, entry, type, body));
  }

  /** Has something done for each slave that serves the bdev or would. */
  void forAll(final BdevEntry entry, final Consumer<Slave> work) {
    watchersOf(entry).forEach(work);
  }

  /**
   * Without an owner, and when it dies, the answer is {@link #NO_OWNER}: its successor is told how
   * things are.
   */
  CompletableFuture<Answer> askOwner(
      final BdevEntry entry, final RelayMessageType type, final Consumer<RelayWriter> body) {
    final Slave owner = ownerOf(entry);
    if (owner == null || !owner.isReachable() || !entry.isKnown()) {
      return CompletableFuture.completedFuture(NO_OWNER);
    }
    return ask(owner, entry.id(), entry.name(), type, body);
  }

  /** Every slave that serves the bdev or would; the first that cannot speaks for all. */
  CompletableFuture<Answer> askAll(
      final BdevEntry entry, final RelayMessageType type, final Consumer<RelayWriter> body) {
    return askEach(watchersOf(entry), entry.id(), entry.name(), type, body);
  }

  /**
   * Completes when no slave is amidst anything on any bdev that it began before; it fails when a
   * slave does not say so, or cannot be asked and is not dead.
   */
  CompletableFuture<Void> awaitCycles() {
    for (final Slave slave : slaves.all()) {
      if (slave.mayServe() && !slave.isReachable()) {
        return CompletableFuture.failedFuture(
            new RpcException(RpcException.EBUSY, slave + " is on its way out"));
      }
    }
    return askEach(slaves.reachable(), 0, "its queues", RelayMessageType.BDEV_CYCLE, writer -> {})
        .thenCompose(Answer::stage);
  }

  /** Every slave lets go of an NVMe device whose bdevs are gone; it fails when one does not. */
  CompletableFuture<Void> releaseDevice(final String controller) {
    return askEach(
            slaves.reachable(),
            0,
            controller,
            RelayMessageType.DEVICE_DETACH,
            writer -> writer.putString(controller))
        .thenCompose(Answer::stage);
  }

  private CompletableFuture<Answer> askEach(
      final Iterable<Slave> asked,
      final long id,
      final String name,
      final RelayMessageType type,
      final Consumer<RelayWriter> body) {
    CompletableFuture<Answer> all = CompletableFuture.completedFuture(NO_OWNER);
    for (final Slave slave : asked) {
      all = all.thenCombine(ask(slave, id, name, type, body), SlaveRequests::worse);
    }
    return all;
  }

  private static Answer worse(final Answer one, final Answer next) {
    return one.errno() != 0 ? one : next;
  }

  private CompletableFuture<Answer> ask(
      final Slave slave,
      final long id,
      final String name,
      final RelayMessageType type,
      final Consumer<RelayWriter> body) {
    final long sequence = ++lastSequence;
    final CompletableFuture<Answer> answer = new CompletableFuture<>();
    final EventLoop.Timer timer =
        loop.after(
            answerNsMax,
            () ->
                settle(
                    sequence,
                    new Answer(Errno.ETIMEDOUT, slave + " did not answer about " + name, 0)));
    requests.put(sequence, new Request(slave, answer, timer));
    send(slave, id, type, sequence, body);
    return answer;
  }

  private void send(
      final Slave slave,
      final long id,
      final RelayMessageType type,
      final long sequence,
      final Consumer<RelayWriter> body) {
    slaves.tell(
        slave,
        channel -> {
          body.accept(channel.begin(type, id, sequence));
          return true;
        });
  }

  private void settle(final long sequence, final Answer answer) {
    final Request request = requests.remove(sequence);
    if (request != null) {
      request.timer().cancel();
      request.answer().complete(answer);
    }
  }

  /** A slave said something of a bdev; whether that was the answer to a question. */
  boolean onResult(
      final Slave slave,
      final long sequence,
      final int errno,
      final String text,
      final long blockCount) {
    final Request request = requests.get(sequence);
    if (request == null || request.slave() != slave) {
      return false;
    }
    settle(sequence, new Answer(errno, text, blockCount));
    return true;
  }

  void onDead(final Slave slave) {
    for (final Map.Entry<Long, Request> request : List.copyOf(requests.entrySet())) {
      if (request.getValue().slave() == slave) {
        settle(request.getKey(), NO_OWNER);
      }
    }
  }
}

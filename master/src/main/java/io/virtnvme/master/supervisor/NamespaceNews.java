package io.virtnvme.master.supervisor;

import io.virtnvme.ipc.relay.NvmeDescription;
import io.virtnvme.ipc.relay.RelayMessageType;
import io.virtnvme.master.relay.EventLoop;
import io.virtnvme.master.relay.FrontEndSession;
import io.virtnvme.master.relay.SessionState;
import io.virtnvme.master.rpc.RpcException;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CompletableFuture;

/**
 * Tells slaves which namespaces a session has from now on, and waits until the one that serves it
 * has let go of those that are gone. Conductor thread.
 */
final class NamespaceNews {
  private record Request(
      Slave slave, long sessionId, CompletableFuture<Void> done, EventLoop.Timer timer) {}

  private final EventLoop loop;
  private final long answerNsMax;
  private final Slaves slaves;
  private final Seats seats;
  private final Map<Long, Request> requests = new HashMap<>();
  private long lastSequence;

  NamespaceNews(
      final EventLoop loop, final long answerNsMax, final Slaves slaves, final Seats seats) {
    this.loop = loop;
    this.answerNsMax = answerNsMax;
    this.slaves = slaves;
    this.seats = seats;
  }

  /**
   * Changes a session's namespaces; a slave that is told of the session later gets them with it.
   *
   * @return completes when the owner of its seat has answered, has died, or was not there
   */
  CompletableFuture<Void> tell(
      final FrontEndSession session, final List<NvmeDescription.Namespace> namespaces) {
    session.description(session.description().withNamespaces(namespaces));
    final Slave owner = seats.seat(session.description().seat()).owner();
    CompletableFuture<Void> done = CompletableFuture.completedFuture(null);
    for (final Slave slave : slaves.reachable()) {
      if (slave.toldSessions().containsKey(session.id())) {
        final long sequence = ++lastSequence;
        if (slave == owner) {
          done = await(sequence, slave, session.id());
        }
        send(slave, session, sequence);
      }
    }
    return done;
  }

  private void send(final Slave slave, final FrontEndSession session, final long sequence) {
    slaves.tell(
        slave,
        channel -> {
          if (session.state() == SessionState.CLOSING || session.state() == SessionState.CLOSED) {
            onSet(slave, session.id(), sequence);
            return false;
          }
          NvmeDescription.writeNamespaces(
              channel.begin(RelayMessageType.NAMESPACES, session.id(), sequence),
              session.description().nvme().namespaces());
          return true;
        });
  }

  private CompletableFuture<Void> await(
      final long sequence, final Slave slave, final long sessionId) {
    final CompletableFuture<Void> done = new CompletableFuture<>();
    final EventLoop.Timer timer = loop.after(answerNsMax, () -> onLate(sequence));
    requests.put(sequence, new Request(slave, sessionId, done, timer));
    return done;
  }

  private void onLate(final long sequence) {
    final Request request = requests.remove(sequence);
    if (request != null) {
      request
          .done()
          .completeExceptionally(
              new RpcException(
                  RpcException.ETIMEDOUT,
                  request.slave()
                      + " did not answer about the namespaces of session "
                      + request.sessionId()
                      + "; ask again"));
    }
  }

  private void settle(final long sequence) {
    final Request request = requests.remove(sequence);
    if (request != null) {
      request.timer().cancel();
      request.done().complete(null);
    }
  }

  void onSet(final Slave slave, final long sessionId, final long sequence) {
    final Request request = requests.get(sequence);
    if (request != null && request.slave() == slave && request.sessionId() == sessionId) {
      settle(sequence);
    }
  }

  /** The session is over: nothing of it runs on any namespace. */
  void onEnded(final long sessionId) {
    for (final Map.Entry<Long, Request> request : List.copyOf(requests.entrySet())) {
      if (request.getValue().sessionId() == sessionId) {
        settle(request.getKey());
      }
    }
  }

  /** Its successor is told how things are before it serves. */
  void onDead(final Slave slave) {
    for (final Map.Entry<Long, Request> request : List.copyOf(requests.entrySet())) {
      if (request.getValue().slave() == slave) {
        settle(request.getKey());
      }
    }
  }
}

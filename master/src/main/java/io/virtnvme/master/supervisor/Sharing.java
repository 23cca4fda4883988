package io.virtnvme.master.supervisor;

import io.virtnvme.ipc.relay.RelayFormatException;
import io.virtnvme.ipc.relay.RelayMessageType;
import io.virtnvme.ipc.relay.RelayReader;
import io.virtnvme.ipc.relay.SessionDescription;
import io.virtnvme.ipc.sys.Fds;
import io.virtnvme.master.relay.FrontEndSession;
import io.virtnvme.master.relay.MasterCounter;
import io.virtnvme.master.relay.MasterCounters;
import io.virtnvme.master.relay.Relay;
import io.virtnvme.master.relay.SessionState;
import io.virtnvme.master.relay.SlaveSide;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.function.Consumer;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Which slave knows which session: messages go to the seat's owner, records to everybody who may
 * own the seat next. Conductor thread.
 */
final class Sharing implements SlaveSide {
  private static final Logger LOG = LoggerFactory.getLogger(Sharing.class);

  private final Slaves slaves;
  private final Seats seats;
  private final Bdevs bdevs;
  private final MasterCounters counters;
  private Relay relay;
  private Consumer<FrontEndSession> onSessionEnded = session -> {};

  Sharing(
      final Slaves slaves, final Seats seats, final Bdevs bdevs, final MasterCounters counters) {
    this.slaves = slaves;
    this.seats = seats;
    this.bdevs = bdevs;
    this.counters = counters;
  }

  /** The relay and this class need each other; called once, before anything else. */
  void relay(final Relay newRelay) {
    relay = newRelay;
  }

  /** Who hears that a session is over. */
  void onSessionEnded(final Consumer<FrontEndSession> listener) {
    onSessionEnded = listener;
  }

  private Slave ownerOf(final FrontEndSession session) {
    return seats.seat(session.description().seat()).owner();
  }

  @Override
  public void relay(final FrontEndSession session) {
    final Slave owner = ownerOf(session);
    if (owner == null || !owner.isReachable()) {
      return;
    }
    counters.increment(MasterCounter.MESSAGES_RELAYED);
    final long sequence = session.segment().settledSequence() + 1;
    slaves.tell(
        owner,
        channel -> {
          // It may have waited to be sent, and the session may be elsewhere by now.
          if (session.state() != SessionState.OUTSTANDING || ownerOf(session) != owner) {
            return false;
          }
          session.writeMessage(channel.begin(RelayMessageType.RELAY, session.id(), sequence));
          return true;
        });
  }

  @Override
  public void share(final FrontEndSession session) {
    for (final Slave slave : slaves.reachable()) {
      if (mayServe(slave, session)) {
        shareWith(slave, session);
      }
    }
  }

  private static boolean mayServe(final Slave slave, final FrontEndSession session) {
    return slave.watchedSeats().contains(session.description().seat()) && !slave.isAdopting();
  }

  @Override
  public void shareOwners(final FrontEndSession session) {
    ownerOf(session).toldSessions().put(session.id(), session.recordVersion());
    share(session);
  }

  @Override
  public boolean isShared(final FrontEndSession session) {
    final Slave owner = ownerOf(session);
    for (final Slave slave : slaves.reachable()) {
      if (slave != owner && mayServe(slave, session) && slave.link().isWaiting()) {
        return false;
      }
    }
    return true;
  }

  private void shareWith(final Slave slave, final FrontEndSession session) {
    final Long told = slave.toldSessions().get(session.id());
    // An owner may lack the newest record too: it took the seat from one that had answered since.
    if (told != null && told != Slave.NOT_MAPPED && told >= session.recordVersion()) {
      return;
    }
    slave.toldSessions().put(session.id(), session.recordVersion());
    slaves.tell(
        slave,
        channel -> {
          if (session.state() == SessionState.CLOSING || session.state() == SessionState.CLOSED) {
            return false;
          }
          session.write(channel.begin(RelayMessageType.SESSION, session.id(), 0));
          return true;
        });
  }

  /** Gives a slave all sessions of a seat. */
  void tellSeat(final Slave slave, final Seat seat) {
    for (final FrontEndSession session : relay.sessionsOfSeat(seat.id())) {
      if (session.state().isOpen()) {
        shareWith(slave, session);
      }
    }
  }

  /**
   * A seat has a new owner: it gets what it lacks, and the messages that its predecessor took
   * along.
   */
  void onOwned(final Seat seat, final Slave owner) {
    tellSeat(owner, seat);
    for (final FrontEndSession session : relay.sessionsOfSeat(seat.id())) {
      if (session.state() == SessionState.ADOPTING) {
        relay.resume(session);
      } else if (session.state() == SessionState.OUTSTANDING) {
        counters.increment(MasterCounter.MESSAGES_REPEATED);
        relay(session);
      }
    }
  }

  @Override
  public boolean close(final FrontEndSession session) {
    boolean known = false;
    for (final Slave slave : slaves.all()) {
      if (slave.toldSessions().containsKey(session.id())) {
        known = true;
        tellClose(slave, session.id());
      }
    }
    return known;
  }

  private void tellClose(final Slave slave, final long sessionId) {
    if (slave.isReachable()) {
      slaves.tell(
          slave,
          channel -> {
            channel.begin(RelayMessageType.SESSION_CLOSE, sessionId, 0);
            return true;
          });
    }
  }

  @Override
  public void onEnded(final FrontEndSession session) {
    onSessionEnded.accept(session);
    bdevs.all().forEach(bdev -> bdev.addEnded(session));
  }

  void onAnswer(final Slave slave, final RelayReader message) {
    final FrontEndSession session = relay.session(message.id());
    // Only the owner's word counts; what a predecessor says late was asked of its successor again.
    if (session != null && ownerOf(session) == slave) {
      relay.onAnswer(session, message.sequence(), message);
    }
  }

  void onPrepared(final Slave slave, final long sessionId, final long recordVersion) {
    slave.preparedSessions().put(sessionId, recordVersion);
  }

  void onClosed(final Slave slave, final long sessionId) {
    final FrontEndSession session = relay.session(sessionId);
    if (session == null || session.state() == SessionState.CLOSING) {
      slave.toldSessions().remove(sessionId);
    }
    forgetIfUnknown(session);
  }

  private void forgetIfUnknown(final FrontEndSession session) {
    if (session == null || session.state() != SessionState.CLOSING) {
      return;
    }
    for (final Slave slave : slaves.all()) {
      if (slave.toldSessions().containsKey(session.id())) {
        return;
      }
    }
    relay.onForgotten(session);
  }

  void onFailed(final Slave slave, final long sessionId, final String reason) {
    final FrontEndSession session = relay.session(sessionId);
    if (session == null) {
      return;
    }
    if (ownerOf(session) == slave) {
      relay.fail(session, reason);
    } else {
      LOG.warn("{} could not take over {}: {}", slave, session, reason);
      slave.toldSessions().replace(sessionId, Slave.NOT_MAPPED);
    }
  }

  /** A slave of a dead master hands a session back. */
  void onHandedBack(final Slave slave, final RelayReader message) {
    final long id = message.id();
    final SessionDescription description = SessionDescription.read(message);
    final long version = message.getLong();
    final byte[] record = message.getBytes();
    final int slotCount = message.getInt();
    if (!slave.isAdopting()
        || seats.seat(description.seat()) == null
        || slotCount != message.fdCount() - 1) {
      throw new RelayFormatException(
          "bad session: id="
              + id
              + " seat="
              + description.seat()
              + " slots="
              + slotCount
              + " descriptors="
              + message.fdCount()
              + " adopting="
              + slave.isAdopting());
    }
    final int[] slots = new int[slotCount];
    for (int i = 0; i < slotCount; i++) {
      slots[i] = message.getInt();
    }
    final int[] fds = message.takeFds();
    final Map<Integer, Integer> fdBySlot = new TreeMap<>();
    for (int i = 0; i < slotCount; i++) {
      final Integer twice = fdBySlot.put(slots[i], fds[i + 1]);
      if (twice != null) {
        Fds.close(twice);
      }
    }
    final FrontEndSession session = relay.adopt(id, description, fds[0], version, record, fdBySlot);
    slave.toldSessions().put(id, version);
    if (session == null || session.state() == SessionState.CLOSING) {
      tellClose(slave, id);
    }
  }

  void onDead(final Slave slave) {
    for (final long sessionId : List.copyOf(slave.toldSessions().keySet())) {
      slave.toldSessions().remove(sessionId);
      forgetIfUnknown(relay.session(sessionId));
    }
  }
}

package io.virtnvme.master.relay;

import io.virtnvme.ipc.relay.RelayReader;
import io.virtnvme.ipc.relay.SessionDescription;
import io.virtnvme.ipc.segment.BadSegmentException;
import io.virtnvme.ipc.segment.SegmentDirectory;
import io.virtnvme.ipc.segment.SessionSegment;
import io.virtnvme.ipc.sys.Epoll;
import io.virtnvme.ipc.sys.Errno;
import io.virtnvme.ipc.sys.FdMessage;
import io.virtnvme.ipc.sys.Fds;
import io.virtnvme.ipc.sys.UnixSocket;
import java.io.IOException;
import java.nio.file.Files;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Collection;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * All front-ends' sessions, one message at a time each: peek, hand to the slave, store what it
 * answers, reply, take the message out of the socket. Conductor thread.
 */
public final class Relay implements AutoCloseable {
  /** Connections that one vhost-user controller serves at a time; an NVMe controller has one. */
  public static final int SESSIONS_PER_CONTROLLER_MAX = 4;

  private static final Logger LOG = LoggerFactory.getLogger(Relay.class);

  /** Connections of one controller that may exist, those included that wait or end. */
  private static final int CONNECTIONS_PER_CONTROLLER_MAX = 2 * SESSIONS_PER_CONTROLLER_MAX;

  private static final int MESSAGES_PER_CYCLE = 64;
  private static final int SLOT_COUNT_MAX = FdMessage.FD_COUNT_MAX - 1;

  private final EventLoop loop;
  private final SegmentDirectory segments;
  private final MasterCounters counters;
  private final SlaveSide slaveSide;
  private final MessageReader reader = new MessageReader();
  private final Map<Long, FrontEndSession> sessions = new LinkedHashMap<>();

  /** Sessions that may have a message waiting, each once, served in turn. */
  private final ArrayDeque<FrontEndSession> ready = new ArrayDeque<>();

  /** Sessions in {@link SessionState#ANSWERED}, and some that were. */
  private final List<FrontEndSession> answered = new ArrayList<>();

  private long lastSessionId;

  public Relay(
      final EventLoop loop,
      final SegmentDirectory segments,
      final MasterCounters counters,
      final SlaveSide slaveSide) {
    this.loop = loop;
    this.segments = segments;
    this.counters = counters;
    this.slaveSide = slaveSide;
  }

  public Collection<FrontEndSession> sessions() {
    return sessions.values();
  }

  /** The session, or null. */
  public FrontEndSession session(final long id) {
    return sessions.get(id);
  }

  /** Connections of a controller, those that end included. */
  public List<FrontEndSession> sessionsOf(final String controller) {
    final List<FrontEndSession> found = new ArrayList<>();
    for (final FrontEndSession session : sessions.values()) {
      if (session.description().controller().equals(controller)) {
        found.add(session);
      }
    }
    return found;
  }

  /** Connections to disks of a seat, those that end included. */
  public List<FrontEndSession> sessionsOfSeat(final int seat) {
    return sessions.values().stream()
        .filter(session -> session.description().seat() == seat)
        .toList();
  }

  /** Never gives a new session an id up to this one. */
  public void reserveId(final long id) {
    lastSessionId = Math.max(lastSessionId, id);
  }

  /** A front-end connected; the relay owns its descriptor. */
  public void open(final SessionDescription description, final int fd) {
    final List<FrontEndSession> others = sessionsOf(description.controller());
    final long live =
        others.stream().filter(other -> other.state() != SessionState.CLOSING).count();
    final boolean full =
        isExclusive(description)
            ? live > 1 || others.size() >= CONNECTIONS_PER_CONTROLLER_MAX
            : live >= SESSIONS_PER_CONTROLLER_MAX
                || others.size() >= CONNECTIONS_PER_CONTROLLER_MAX;
    if (full) {
      refuse(
          description,
          fd,
          "controller "
              + description.controller()
              + " has "
              + others.size()
              + " connections; close one first");
      return;
    }
    final long id = lastSessionId + 1;
    final SessionSegment segment;
    try {
      segment = SessionSegment.create(segments, id);
    } catch (final RuntimeException e) {
      refuse(
          description,
          fd,
          "no session for controller " + description.controller() + ": " + e.getMessage());
      return;
    }
    lastSessionId = id;
    final FrontEndSession session =
        new FrontEndSession(id, description, fd, segment, SessionState.HELD);
    sessions.put(id, session);
    counters.increment(MasterCounter.SESSIONS_OPENED);
    LOG.info("{}: a front-end connected (process {})", session, UnixSocket.peerPid(fd));
    watch(session);
    letIn(session);
  }

  /**
   * A vfio-user connection is the device itself, so there is one, and who comes next waits: perhaps
   * it was faster than the news that the one before is gone. Several vhost-user ones share a disk.
   */
  private static boolean isExclusive(final SessionDescription description) {
    return description.protocol() == SessionDescription.Protocol.VFIO_USER_NVME;
  }

  private void refuse(final SessionDescription description, final int fd, final String reason) {
    counters.increment(MasterCounter.SESSIONS_REFUSED);
    LOG.warn("connection refused: {}", reason);
    if (description.protocol() == SessionDescription.Protocol.VIRTNVME) {
      Secondaries.refuse(fd, Errno.EBUSY, reason);
    } else {
      Fds.close(fd);
    }
  }

  private void watch(final FrontEndSession session) {
    loop.watch(
        session.fd(),
        Epoll.IN | Epoll.RDHUP | EventLoop.EDGE_TRIGGERED,
        readiness -> onReady(session, readiness));
  }

  private void letIn(final FrontEndSession session) {
    final boolean alone = isExclusive(session.description());
    for (final FrontEndSession other : sessionsOf(session.description().controller())) {
      if (other.state() == SessionState.CLOSING
          || (alone && other.state() != SessionState.HELD && other != session)) {
        return;
      }
    }
    session.state(SessionState.IDLE, "let in");
    slaveSide.share(session);
    enqueue(session);
  }

  private void onReady(final FrontEndSession session, final int readiness) {
    if ((readiness & (Epoll.RDHUP | Epoll.HUP | Epoll.ERR)) != 0) {
      close(session, "the front-end hung up");
    } else {
      enqueue(session);
    }
  }

  private void enqueue(final FrontEndSession session) {
    if (!session.queued() && session.state() == SessionState.IDLE) {
      session.queued(true);
      ready.add(session);
    }
  }

  /**
   * Takes up messages, one per session and turn.
   *
   * @return true when more may wait, so that the caller does not
   */
  public boolean doWork() {
    // Whoever takes a copy that waited wakes the loop; until then there is nothing to do here.
    answered.removeIf(
        session -> session.state() != SessionState.ANSWERED || settleOnceShared(session));
    final int count = Math.min(ready.size(), MESSAGES_PER_CYCLE);
    for (int i = 0; i < count; i++) {
      final FrontEndSession session = ready.remove();
      session.queued(false);
      if (session.state() == SessionState.IDLE) {
        takeUp(session);
      }
    }
    return !ready.isEmpty();
  }

  private void takeUp(final FrontEndSession session) {
    try {
      final FrontEndMessage message = reader.peek(session.fd(), session.framing());
      if (message != null) {
        session.message(message);
        session.state(SessionState.OUTSTANDING, "message " + session.sequence());
        slaveSide.relay(session);
      }
    } catch (final FrontEndException e) {
      if (e.isGone()) {
        close(session, e.getMessage());
      } else {
        counters.increment(MasterCounter.MESSAGE_VIOLATIONS);
        fail(session, e.getMessage());
      }
    }
  }

  /**
   * The seat's owner answers a message. A late answer, to a message that is over, changes nothing.
   *
   * @throws io.virtnvme.ipc.relay.RelayFormatException when the slave is broken; the message stays
   *     for its successor
   */
  public void onAnswer(
      final FrontEndSession session, final long sequence, final RelayReader answerReader) {
    if (session.state() != SessionState.OUTSTANDING || sequence != session.sequence()) {
      return;
    }
    final FrontEndMessage message = session.message();
    final SlaveAnswer answer = SlaveAnswer.read(answerReader, message.fds());
    message.forgetFds();
    session.record(answer.recordVersion(), answer.record(), answer.changes());
    session.answer(answer);
    if (answer.close()) {
      fail(session, answer.reason());
    } else if (session.slotCount() > SLOT_COUNT_MAX) {
      fail(session, "it holds more than " + SLOT_COUNT_MAX + " descriptors");
    } else {
      session.state(SessionState.ANSWERED, "answer to " + sequence);
      slaveSide.shareOwners(session);
      if (!settleOnceShared(session)) {
        answered.add(session);
      }
    }
  }

  /**
   * Sends the reply, unless a copy of the record still waits in this process: it would be lost with
   * it, and what the front-end was told must be known to whoever serves it next.
   */
  private boolean settleOnceShared(final FrontEndSession session) {
    final boolean shared = slaveSide.isShared(session);
    if (shared) {
      settle(session, session.answer());
    }
    return shared;
  }

  /** Steps 2 to 6 of {@link ReplyRecovery}. */
  private void settle(final FrontEndSession session, final SlaveAnswer answer) {
    final long sequence = session.sequence();
    final SessionSegment segment = session.segment();
    if (!session.replyIsOut()) {
      segment.beginSettling(sequence);
      final boolean sent =
          answer.reply() == null
              || reader.reply(session.fd(), segment, answer.reply(), answer.replyFds());
      if (!sent) {
        counters.increment(MasterCounter.REPLIES_UNREAD);
        fail(session, "the front-end does not read its replies, or is gone");
        return;
      }
    }
    session.replyIsOut(false);
    if (!reader.take(session.fd(), session.message(), segment)) {
      fail(session, "its socket does not hold the message any more that was read from it");
      return;
    }
    segment.settled(sequence);
    session.dropMessage();
    counters.increment(MasterCounter.MESSAGES_SETTLED);
    session.state(SessionState.IDLE, "settled " + sequence);
    enqueue(session);
  }

  /** Ends a session because its guest, front-end or controller is at fault. */
  public void fail(final FrontEndSession session, final String reason) {
    if (session.state() != SessionState.CLOSING && session.state() != SessionState.CLOSED) {
      counters.increment(MasterCounter.SESSIONS_FAILED);
      LOG.warn("{} is closed: {}", session, reason);
      close(session, reason);
    }
  }

  /** Ends a session; it is over once every slave has forgotten it. */
  public void close(final FrontEndSession session, final String reason) {
    if (session.state() == SessionState.CLOSING || session.state() == SessionState.CLOSED) {
      return;
    }
    LOG.info("{} ends: {}", session, reason);
    loop.unwatch(session.fd());
    // The slaves hold duplicates: only a shutdown lets the front-end see the end.
    UnixSocket.shutdown(session.fd());
    session.dropMessage();
    if (session.state() == SessionState.HELD) {
      finish(session);
      return;
    }
    session.state(SessionState.CLOSING, reason);
    if (!slaveSide.close(session)) {
      finish(session);
    }
  }

  /** No slave knows the closing session any more. */
  public void onForgotten(final FrontEndSession session) {
    if (session.state() == SessionState.CLOSING) {
      finish(session);
    }
  }

  private void finish(final FrontEndSession session) {
    session.state(SessionState.CLOSED, "over");
    counters.increment(MasterCounter.SESSIONS_ENDED);
    sessions.remove(session.id());
    slaveSide.onEnded(session);
    session.release();
    deleteSegment(session.id());
    for (final FrontEndSession other : sessionsOf(session.description().controller())) {
      if (other.state() == SessionState.HELD) {
        letIn(other);
      }
    }
  }

  private void deleteSegment(final long id) {
    try {
      Files.deleteIfExists(segments.session(id));
    } catch (final IOException e) {
      LOG.warn("cannot remove {}: {}", segments.session(id), e.getMessage());
    }
  }

  /**
   * A slave that outlived the last master hands a session back.
   *
   * @param fd the front-end's socket; the relay owns it and the descriptors in {@code slots}
   * @return the session, or null when it cannot go on
   */
  public FrontEndSession adopt(
      final long id,
      final SessionDescription description,
      final int fd,
      final long recordVersion,
      final byte[] record,
      final Map<Integer, Integer> slots) {
    reserveId(id);
    final FrontEndSession known = sessions.get(id);
    if (known != null) {
      Fds.close(fd);
      // What the owner of the seat has is the newest: nobody else answers messages.
      if (known.state() == SessionState.ADOPTING && recordVersion > known.recordVersion()) {
        known.replaceRecord(recordVersion, record, slots);
      } else {
        slots.values().forEach(Fds::close);
      }
      return known;
    }
    final SessionSegment segment;
    try {
      segment = SessionSegment.open(segments, id);
    } catch (final BadSegmentException e) {
      if (Files.exists(segments.session(id))) {
        LOG.error("session {} of {} is lost: {}", id, description.controller(), e.getMessage());
      } else {
        LOG.info("session {} of {} had ended before", id, description.controller());
      }
      UnixSocket.shutdown(fd);
      Fds.close(fd);
      slots.values().forEach(Fds::close);
      return null;
    }
    final FrontEndSession session =
        new FrontEndSession(id, description, fd, segment, SessionState.ADOPTING);
    session.replaceRecord(recordVersion, record, slots);
    sessions.put(id, session);
    counters.increment(MasterCounter.SESSIONS_ADOPTED);
    Fds.setNonBlocking(fd, true);
    watch(session);
    return session;
  }

  /** Lets the messages of an adopted session flow again. */
  public void resume(final FrontEndSession session) {
    if (session.state() != SessionState.ADOPTING) {
      return;
    }
    final ReplyRecovery.Row row = ReplyRecovery.row(session.segment());
    LOG.info("{} goes on: message {} is {}", session, session.sequence(), row.label());
    switch (row.decision()) {
      case GO_ON -> {}
      case REPEAT_WITHOUT_REPLY -> session.replyIsOut(true);
      case SETTLE -> session.segment().settled(session.segment().pendingSequence());
      case CLOSE -> {
        fail(session, "its segment was overwritten");
        return;
      }
    }
    session.state(SessionState.IDLE, "resumed");
    slaveSide.share(session);
    enqueue(session);
  }

  /** Releases what this process holds of every session; sockets that slaves hold stay connected. */
  @Override
  public void close() {
    for (final FrontEndSession session : sessions.values()) {
      loop.unwatch(session.fd());
      session.release();
    }
    sessions.clear();
    ready.clear();
    answered.clear();
    reader.close();
  }
}

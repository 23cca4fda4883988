package io.virtnvme.chaos.sim;

import io.virtnvme.ipc.sys.Fds;
import io.virtnvme.slave.session.Answer;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Deque;
import java.util.LinkedHashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.SplittableRandom;
import java.util.TreeMap;

/**
 * The master: takes front-ends in, relays one message at a time, keeps what the owner of the seat
 * answers, tells standbys, replaces the dead, kills the hung, and adopts what an earlier master
 * left. Plays the rules of the product's master, one small action at a time, so that it can die
 * between any two.
 */
final class SimMaster {
  /** Steps without a sign of life after which a slave is killed. */
  private static final int HANG_STEPS_MAX = 250;

  private static final int SLAVE_COUNT = 2;

  private enum State {
    HELD,
    ADOPTING,
    IDLE,
    OUTSTANDING,
    REPLYING,
    TAKING,
    CLOSING
  }

  private static final class Session {
    final long id;
    final Connection connection;
    final Map<Integer, Integer> slots = new TreeMap<>();

    /** Who has the session, and which version of its record. */
    final Map<SimSlave, Long> told = new LinkedHashMap<>();

    State state;
    long version;
    byte[] record = {};
    byte[] reply;
    int[] replyFds = {};

    Session(final long id, final Connection connection, final State state) {
      this.id = id;
      this.connection = connection;
      this.state = state;
    }

    long sequence() {
      return connection.settledCount + 1;
    }

    void closeSlots() {
      slots.values().forEach(Fds::close);
      slots.clear();
      Letter.closeAll(replyFds);
      replyFds = new int[0];
    }
  }

  private final World world;
  private final int number;
  private final SplittableRandom random;
  private final Map<Long, Session> sessions = new LinkedHashMap<>();
  private final Deque<Letter> inbox = new ArrayDeque<>();
  private final Set<SimSlave> slaves = new LinkedHashSet<>();
  private final Set<SimSlave> awaited;

  /** Said that they own the seat, and still hand back. */
  private final Set<SimSlave> claimants = new LinkedHashSet<>();

  private SimSlave owner;
  private boolean adopted;

  /** A new master waits for the slaves that live. */
  SimMaster(final World world, final int number, final SplittableRandom random) {
    this.world = world;
    this.number = number;
    this.random = random;
    this.awaited = new LinkedHashSet<>(world.slaves());
  }

  int number() {
    return number;
  }

  /** Whether it has the session's socket, or is about to get it. */
  boolean has(final long sessionId) {
    return sessions.containsKey(sessionId)
        || inbox.stream()
            .anyMatch(
                letter -> letter.kind == Letter.Kind.SESSION && letter.sessionId == sessionId);
  }

  void receive(final Letter letter) {
    inbox.add(letter);
  }

  /** One action, of those that can be done now. */
  void step() {
    final List<Runnable> choices = new ArrayList<>();
    if (!inbox.isEmpty()) {
      choices.add(() -> onLetter(inbox.remove()));
    }
    for (final SimSlave slave : List.copyOf(slaves)) {
      if (slave.isDead()) {
        choices.add(() -> onExit(slave));
      }
    }
    awaited.removeIf(SimSlave::isDead);
    if (awaited.isEmpty()) {
      if (!adopted) {
        onAdoptionDone();
      }
      if (world.slaves().size() < SLAVE_COUNT) {
        choices.add(world::startSlave);
      }
      final Connection waiting = world.waitingConnection();
      if (waiting != null) {
        choices.add(() -> open(waiting));
      }
    }
    for (final SimSlave slave : world.slaves()) {
      if (slave.isHung() && world.step() - world.hungSince() > HANG_STEPS_MAX) {
        choices.add(() -> world.onDeath(slave, "killed because it hung"));
      }
    }
    for (final Session session : sessions.values()) {
      addChoice(session, choices);
    }
    if (!choices.isEmpty()) {
      choices.get(random.nextInt(choices.size())).run();
    }
  }

  private void addChoice(final Session session, final List<Runnable> choices) {
    if (session.connection.hungUp && session.state != State.CLOSING) {
      if (session.state != State.ADOPTING) {
        choices.add(() -> close(session));
      }
      return;
    }
    switch (session.state) {
      case IDLE -> {
        if (!session.connection.messages.isEmpty()) {
          choices.add(() -> takeUp(session));
        }
      }
      case REPLYING -> choices.add(() -> reply(session));
      case TAKING -> choices.add(() -> take(session));
      case HELD, ADOPTING, OUTSTANDING, CLOSING -> {}
    }
  }

  private void open(final Connection connection) {
    world.accepted(connection);
    final long id = world.newSession(connection);
    final Session session = new Session(id, connection, State.HELD);
    sessions.put(id, session);
    letIn();
  }

  private void letIn() {
    // A vfio-user connection is the device itself: who comes next waits, also when it was faster
    // than the news that the one before is gone.
    final boolean alone = world.plan().nvme() != null;
    for (final Session session : sessions.values()) {
      if (session.state == State.CLOSING || (alone && session.state != State.HELD)) {
        return;
      }
    }
    for (final Session session : sessions.values()) {
      if (session.state == State.HELD) {
        session.state = State.IDLE;
        share(session);
        if (alone) {
          return;
        }
      }
    }
  }

  private void share(final Session session) {
    for (final SimSlave slave : slaves) {
      shareWith(slave, session);
    }
  }

  private void shareWith(final SimSlave slave, final Session session) {
    final Long known = session.told.get(slave);
    if (known != null && known >= session.version) {
      return;
    }
    session.told.put(slave, session.version);
    final Letter letter = new Letter(Letter.Kind.SESSION, slave, number, session.id);
    letter.version = session.version;
    letter.record = session.record;
    letter.slots = session.slots.keySet().stream().mapToInt(slot -> slot).toArray();
    letter.fds = session.slots.values().stream().mapToInt(Fds::duplicate).toArray();
    slave.receive(letter);
  }

  private void takeUp(final Session session) {
    session.state = State.OUTSTANDING;
    relay(session);
  }

  private void relay(final Session session) {
    if (owner == null || owner.isDead()) {
      return;
    }
    final Connection.Message message = session.connection.messages.element();
    final Letter letter = new Letter(Letter.Kind.RELAY, owner, number, session.id);
    letter.sequence = session.sequence();
    letter.bytes = message.bytes;
    letter.fds = Letter.copies(message.fds);
    owner.receive(letter);
  }

  private void onLetter(final Letter letter) {
    world.trace().note(letter.kind.name(), letter.slave.number(), letter.sessionId);
    switch (letter.kind) {
      case HELLO -> onHello(letter.slave, letter.flag);
      case SESSION -> onHandedBack(letter);
      case ADOPTED -> onAdopted(letter.slave);
      case SEAT_TAKEN -> onOwned(letter.slave);
      case ANSWER -> onAnswer(letter);
      case SESSION_CLOSED -> {
        final Session session = sessions.get(letter.sessionId);
        if (session != null && session.state == State.CLOSING) {
          session.told.remove(letter.slave);
          finishIfForgotten(session);
        }
      }
      default -> throw new Violation("a master got " + letter.kind);
    }
  }

  private void onHello(final SimSlave slave, final boolean owns) {
    if (slave.isDead()) {
      return;
    }
    slaves.add(slave);
    if (owns) {
      claimants.add(slave);
    }
  }

  private void onHandedBack(final Letter letter) {
    final Session known = sessions.get(letter.sessionId);
    final Connection connection = world.connectionOf(letter.sessionId);
    if (connection == null) {
      // It ended while this slave had yet to speak: the owner of the seat had spoken, and the
      // front-end hung up. Its segment is gone, and the slave must forget it.
      letter.drop();
      letter.slave.receive(
          new Letter(Letter.Kind.SESSION_CLOSE, letter.slave, number, letter.sessionId));
      return;
    }
    final Session session =
        known != null ? known : new Session(letter.sessionId, connection, State.ADOPTING);
    sessions.put(session.id, session);
    if (known != null && (known.state != State.ADOPTING || letter.version <= known.version)) {
      letter.drop();
    } else {
      session.closeSlots();
      session.version = letter.version;
      session.record = letter.record;
      for (int i = 0; i < letter.slots.length; i++) {
        session.slots.put(letter.slots[i], letter.fds[i]);
      }
    }
    if (!letter.slave.isDead()) {
      session.told.put(letter.slave, letter.version);
      if (session.state == State.CLOSING) {
        tellClose(letter.slave, session);
      }
    }
  }

  private void onAdopted(final SimSlave slave) {
    awaited.remove(slave);
    if (slave.isDead()) {
      return;
    }
    // Not earlier: what it hands back may be older than what its predecessor answered.
    if (claimants.remove(slave)) {
      onOwned(slave);
    } else {
      tellSessions(slave);
    }
  }

  /** Every slave has spoken or is dead: the messages of all sessions flow again. */
  private void onAdoptionDone() {
    adopted = true;
    for (final Session session : sessions.values()) {
      if (session.state == State.ADOPTING) {
        session.state = State.IDLE;
        share(session);
      }
    }
  }

  private void tellSessions(final SimSlave slave) {
    for (final Session session : sessions.values()) {
      final boolean open =
          session.state == State.IDLE
              || session.state == State.OUTSTANDING
              || session.state == State.REPLYING
              || session.state == State.TAKING;
      if (open) {
        shareWith(slave, session);
      }
    }
  }

  /** The seat has a new owner: it gets what it lacks, and what its predecessor took along. */
  private void onOwned(final SimSlave slave) {
    if (slave.isDead() || !slaves.contains(slave)) {
      return;
    }
    owner = slave;
    tellSessions(slave);
    for (final Session session : List.copyOf(sessions.values())) {
      if (session.state == State.ADOPTING) {
        session.state = State.IDLE;
        share(session);
      } else if (session.state == State.OUTSTANDING) {
        relay(session);
      }
    }
  }

  private void onAnswer(final Letter letter) {
    final Session session = sessions.get(letter.sessionId);
    if (session == null
        || owner != letter.slave
        || session.state != State.OUTSTANDING
        || session.sequence() != letter.sequence) {
      letter.drop();
      return;
    }
    final int[] messageFds = session.connection.messages.element().fds;
    for (int i = 0; i < letter.slots.length; i++) {
      final int source = letter.sources[i];
      final Integer before =
          source < 0
              ? session.slots.remove(letter.slots[i])
              : session.slots.put(
                  letter.slots[i],
                  Fds.duplicate(
                      source >= Answer.NEW_FD
                          ? letter.fds[source - Answer.NEW_FD]
                          : messageFds[source]));
      if (before != null) {
        Fds.close(before);
      }
    }
    session.version = letter.version;
    session.record = letter.record;
    session.reply = letter.flag ? letter.bytes : null;
    session.replyFds = letter.replyFds;
    letter.replyFds = new int[0];
    letter.drop();
    // Before the reply: what the front-end was told is then known to whoever serves it next.
    session.told.put(owner, session.version);
    share(session);
    session.state = State.REPLYING;
  }

  private static void reply(final Session session) {
    if (session.reply != null && !session.connection.replied) {
      session.connection.replies.add(new Connection.Reply(session.reply, session.replyFds));
      session.connection.replied = true;
    } else {
      Letter.closeAll(session.replyFds);
    }
    session.replyFds = new int[0];
    session.reply = null;
    session.state = State.TAKING;
  }

  private void take(final Session session) {
    world.trace().note("settled", session.id, session.sequence(), session.version);
    session.connection.take();
    session.state = State.IDLE;
  }

  private void close(final Session session) {
    if (session.state == State.HELD) {
      finish(session);
      return;
    }
    session.state = State.CLOSING;
    for (final SimSlave slave : session.told.keySet()) {
      tellClose(slave, session);
    }
    finishIfForgotten(session);
  }

  private void tellClose(final SimSlave slave, final Session session) {
    slave.receive(new Letter(Letter.Kind.SESSION_CLOSE, slave, number, session.id));
  }

  private void finishIfForgotten(final Session session) {
    if (session.told.isEmpty()) {
      finish(session);
    }
  }

  private void finish(final Session session) {
    world.trace().note("ended", session.id);
    session.closeSlots();
    sessions.remove(session.id);
    world.endSession(session.id);
    letIn();
  }

  private void onExit(final SimSlave slave) {
    // What it said before it died is true.
    for (final Letter letter : List.copyOf(inbox)) {
      if (letter.slave == slave) {
        inbox.remove(letter);
        onLetter(letter);
      }
    }
    slaves.remove(slave);
    claimants.remove(slave);
    if (owner == slave) {
      owner = null;
    }
    for (final Session session : List.copyOf(sessions.values())) {
      session.told.remove(slave);
      if (session.state == State.CLOSING) {
        finishIfForgotten(session);
      }
    }
  }

  /** It dies: the sockets stay with the slaves that have them. */
  void die() {
    sessions.values().forEach(Session::closeSlots);
    sessions.clear();
    inbox.forEach(Letter::drop);
    inbox.clear();
  }
}

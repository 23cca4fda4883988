package io.virtnvme.chaos.sim;

import io.virtnvme.ipc.relay.NvmeDescription;
import io.virtnvme.ipc.relay.SessionDescription;
import io.virtnvme.ipc.segment.SessionSegment;
import io.virtnvme.slave.bdev.Bdev;
import io.virtnvme.slave.control.SeatControllers;
import io.virtnvme.slave.reactor.PreparedSession;
import io.virtnvme.slave.reactor.SteppedSeat;
import io.virtnvme.slave.session.Answer;
import io.virtnvme.slave.session.FrontEndDevice;
import io.virtnvme.slave.session.VhostUserSession;
import io.virtnvme.slave.vfio.NvmeDevices;
import io.virtnvme.slave.vfio.VfioUserSession;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.UUID;

/**
 * A slave's sessions as its control thread keeps them: which are prepared, which are served, what
 * is answered to whom. Plays the rules of the product's control thread over the product's sessions.
 */
final class SlaveSessions {
  private static final SessionDescription DESCRIPTION_SPLIT = description(false);
  private static final SessionDescription DESCRIPTION_PACKED = description(true);
  private static final int QUEUE_COUNT_MAX = 2;

  private static final class Entry {
    final long id;
    final SessionSegment segment;
    final FrontEndDevice session;
    final Runnable abandon;
    boolean serving;
    boolean closing;
    Letter busyWith;
    Letter waiting;

    Entry(
        final long id,
        final SessionSegment segment,
        final FrontEndDevice session,
        final Runnable abandon) {
      this.id = id;
      this.segment = segment;
      this.session = session;
      this.abandon = abandon;
    }
  }

  private final World world;
  private final SimSlave slave;
  private final SteppedSeat seat;
  private final Bdev disk;
  private final NvmeDevices controllers;
  private final Map<Long, Entry> entries = new LinkedHashMap<>();

  SlaveSessions(final World world, final SimSlave slave, final SteppedSeat seat, final Bdev disk) {
    this.world = world;
    this.slave = slave;
    this.seat = seat;
    this.disk = disk;
    this.controllers = new SeatControllers(bdevId -> disk, () -> seat);
  }

  private static SessionDescription description(final boolean packed) {
    return new SessionDescription(
        SessionDescription.Protocol.VHOST_USER_BLK, "c", 0, 1, QUEUE_COUNT_MAX, false, packed);
  }

  private static SessionDescription controller(final NvmePlan plan) {
    return SessionDescription.ofNvme(
        "c",
        0,
        new NvmeDescription(
            "nqn.2026-01.x:sim",
            "S",
            "M",
            1,
            1,
            plan.mappedDoorbells(),
            plan.shadowDoorbells(),
            SimNvmeMemory.QUEUE_COUNT_MAX,
            SimNvmeMemory.QUEUE_ENTRIES_MAX,
            List.of(
                new NvmeDescription.Namespace(
                    1, 1, new UUID(0x4000, 0x8000_0000_0000_0001L), "", ""))));
  }

  boolean has(final long sessionId) {
    return entries.containsKey(sessionId);
  }

  void onLetter(final Letter letter) {
    switch (letter.kind) {
      case SESSION -> onSession(letter);
      case RELAY -> onRelay(letter);
      case SESSION_CLOSE -> onClose(letter.sessionId);
      default -> throw new Violation("a slave got " + letter.kind);
    }
  }

  private void onSession(final Letter letter) {
    final Entry known = entries.get(letter.sessionId);
    final int[] fds = letter.fds;
    letter.fds = new int[0];
    if (known != null && known.serving) {
      Letter.closeAll(fds);
      return;
    }
    final Entry entry = known != null ? known : create(letter.sessionId);
    if (known != null && letter.version == known.session.version()) {
      Letter.closeAll(fds);
    } else {
      seat.forget(entry.id);
      entry.session.load(letter.version, letter.record, letter.slots, fds);
    }
    settle(entry);
  }

  private Entry create(final long id) {
    final SessionSegment segment = SessionSegment.open(world.segments(), id);
    final Entry entry;
    if (world.plan().nvme() == null) {
      final VhostUserSession session =
          new VhostUserSession(
              id,
              world.plan().packed() ? DESCRIPTION_PACKED : DESCRIPTION_SPLIT,
              segment,
              disk,
              seat::rings);
      entry = new Entry(id, segment, session, session::abandon);
    } else {
      final VfioUserSession session =
          new VfioUserSession(id, controller(world.plan().nvme()), segment, controllers);
      entry = new Entry(id, segment, session, session::abandon);
    }
    entries.put(id, entry);
    return entry;
  }

  private void settle(final Entry entry) {
    if (entry.serving) {
      return;
    }
    final PreparedSession prepared =
        new PreparedSession(
            entry.id, entry.session.version(), entry.segment, entry.session.runnableQueues());
    if (!seat.prepare(prepared)) {
      serveIfCurrent(entry);
    }
  }

  private static void serveIfCurrent(final Entry entry) {
    if (!entry.serving && entry.session.mayStart()) {
      serve(entry);
    }
  }

  private static void serve(final Entry entry) {
    entry.serving = true;
    entry.session.startRings();
  }

  /** Prepares anew the sessions whose owner has made other queues since. */
  void refresh() {
    for (final Entry entry : List.copyOf(entries.values())) {
      if (!entry.serving && !entry.closing && !entry.session.isPreparationCurrent()) {
        settle(entry);
      }
    }
  }

  /** The reactors have the seat and run what was prepared; the rest is started here. */
  void onSeatOwned() {
    for (final Entry entry : List.copyOf(entries.values())) {
      serveIfCurrent(entry);
    }
    tell(new Letter(Letter.Kind.SEAT_TAKEN, slave, slave.masterNumber(), 0));
  }

  private void onRelay(final Letter letter) {
    final Entry entry = entries.get(letter.sessionId);
    if (entry == null || entry.closing || !seat.isOwned()) {
      letter.drop();
      return;
    }
    if (!entry.serving) {
      serve(entry);
    }
    if (entry.busyWith != null) {
      dropWaiting(entry);
      entry.waiting = letter;
    } else {
      handle(entry, letter);
    }
  }

  private void handle(final Entry entry, final Letter letter) {
    entry.busyWith = letter;
    entry.session.onMessage(
        letter.sequence, letter.bytes, letter.fds, answer -> onAnswer(entry, letter, answer));
  }

  private void onAnswer(final Entry entry, final Letter letter, final Answer answer) {
    entry.busyWith = null;
    if (answer.close() || !answer.reason().isEmpty()) {
      throw new Violation("slave " + slave.number() + " refuses: " + answer.reason());
    }
    if (isUp() && letter.masterNumber == slave.masterNumber()) {
      final Letter reply = new Letter(Letter.Kind.ANSWER, slave, slave.masterNumber(), entry.id);
      reply.sequence = letter.sequence;
      reply.flag = answer.reply() != null;
      reply.bytes = reply.flag ? answer.reply().clone() : new byte[0];
      reply.replyFds = Letter.copies(answer.replyFds());
      reply.version = answer.version();
      reply.record = answer.record().clone();
      reply.slots = answer.slots().clone();
      reply.sources = answer.sources().clone();
      reply.fds = Letter.copies(answer.newFds());
      tell(reply);
    }
    final Letter next = entry.waiting;
    entry.waiting = null;
    if (next != null && !entry.closing && next.masterNumber == slave.masterNumber()) {
      slave.execute(() -> handleIfOpen(entry, next));
    } else if (next != null) {
      next.drop();
    }
  }

  private void handleIfOpen(final Entry entry, final Letter letter) {
    if (entry.closing || entry.busyWith != null) {
      letter.drop();
    } else {
      handle(entry, letter);
    }
  }

  private static void dropWaiting(final Entry entry) {
    if (entry.waiting != null) {
      entry.waiting.drop();
      entry.waiting = null;
    }
  }

  private void onClose(final long id) {
    final Entry entry = entries.get(id);
    if (entry == null) {
      tellClosed(id);
      return;
    }
    if (!entry.closing) {
      entry.closing = true;
      dropWaiting(entry);
      seat.forget(id);
      entry.session.close(
          () -> {
            if (seat.hasRings(id)) {
              throw new Violation("the memory of session " + id + " goes while its rings run");
            }
            entries.remove(id);
            entry.segment.close();
            tellClosed(id);
          });
    }
  }

  private void tellClosed(final long id) {
    tell(new Letter(Letter.Kind.SESSION_CLOSED, slave, slave.masterNumber(), id));
  }

  /** A master is there: it is told of everything. */
  void handBack() {
    final Letter hello = new Letter(Letter.Kind.HELLO, slave, slave.masterNumber(), 0);
    hello.flag = seat.isOwned();
    tell(hello);
    for (final Entry entry : new ArrayList<>(entries.values())) {
      final Letter letter = new Letter(Letter.Kind.SESSION, slave, slave.masterNumber(), entry.id);
      letter.version = entry.session.version();
      letter.record = entry.session.record();
      letter.slots = entry.session.heldSlots();
      letter.fds = Letter.copies(entry.session.heldFds());
      tell(letter);
    }
    tell(new Letter(Letter.Kind.ADOPTED, slave, slave.masterNumber(), 0));
  }

  private boolean isUp() {
    return world.master() != null && world.master().number() == slave.masterNumber();
  }

  private void tell(final Letter letter) {
    if (isUp()) {
      world.master().receive(letter);
    } else {
      letter.drop();
    }
  }

  /** After the death of the slave, when nothing of it runs. */
  void release() {
    for (final Entry entry : entries.values()) {
      final int[] held = entry.session.heldFds();
      if (entry.busyWith != null) {
        // What a message brought is nobody's until it is answered.
        Letter.closeAll(
            Arrays.stream(entry.busyWith.fds)
                .filter(fd -> Arrays.stream(held).noneMatch(other -> other == fd))
                .toArray());
      }
      dropWaiting(entry);
      entry.abandon.run();
      entry.segment.close();
    }
    entries.clear();
  }
}

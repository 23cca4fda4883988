package io.virtnvme.master;

import io.virtnvme.ipc.relay.FormatVersions;
import io.virtnvme.ipc.relay.RelayChannel;
import io.virtnvme.ipc.relay.RelayClosedException;
import io.virtnvme.ipc.relay.RelayMessageType;
import io.virtnvme.ipc.relay.RelayReader;
import io.virtnvme.ipc.relay.RelayWriter;
import io.virtnvme.ipc.relay.SessionDescription;
import io.virtnvme.ipc.segment.SeatSegment;
import io.virtnvme.ipc.segment.SegmentDirectory;
import io.virtnvme.ipc.segment.TakeoverReport;
import io.virtnvme.ipc.sys.Fds;
import io.virtnvme.ipc.sys.UnixSocket;
import io.virtnvme.master.relay.AnswerMaker;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;

/** A slave that does what a test says, step by step, on the test's thread. */
final class FakeSlave implements AutoCloseable {
  private static final int WAIT_MS = 5000;

  /** A session as this slave was last told of it. */
  record Held(
      SessionDescription description, long version, List<Integer> slots, List<Integer> fds) {
    void close() {
      fds.forEach(Fds::close);
    }
  }

  private final FakeProcesses processes;
  private final Path runDirectory;
  private final int pid;
  private final List<RelayMessageType> received = new ArrayList<>();
  private final Map<Long, Held> sessions = new TreeMap<>();
  private RelayChannel channel;
  private int id;

  FakeSlave(final FakeProcesses processes, final Path runDirectory, final int pid) {
    this.processes = processes;
    this.runDirectory = runDirectory;
    this.pid = pid;
  }

  int pid() {
    return pid;
  }

  Map<Long, Held> sessions() {
    return sessions;
  }

  List<RelayMessageType> received() {
    return received;
  }

  void connect() {
    processes.connecting(pid);
    final int fd = UnixSocket.connectSeqPacket(runDirectory.resolve("slaves.sock").toString());
    Fds.setNonBlocking(fd, true);
    channel = new RelayChannel(fd);
  }

  FakeSlave hello(final int... ownedSeats) {
    connect();
    sendHello(RelayChannel.PROTOCOL_MAJOR, ownedSeats);
    return this;
  }

  void sendHello(final int major, final int... ownedSeats) {
    final RelayWriter writer =
        channel
            .begin(RelayMessageType.HELLO, 0, 0)
            .putInt(major)
            .putInt(0)
            .putInt(pid)
            .putInt(id)
            .putString("fake")
            .putInt(ownedSeats.length);
    for (final int seat : ownedSeats) {
      writer.putInt(seat);
    }
    FormatVersions.shared().write(writer);
    channel.send();
  }

  /** The next message of a type; what comes before is only noted. */
  RelayReader expect(final RelayMessageType type) {
    while (true) {
      final RelayReader message = channel.receive();
      if (message == null) {
        if (!Fds.awaitReadable(channel.fd(), WAIT_MS)) {
          throw new IllegalStateException("no " + type + ", only " + received);
        }
        continue;
      }
      received.add(message.type());
      note(message);
      if (message.type() == type) {
        return message;
      }
    }
  }

  /** Everything that is there now, also of a master that is gone. */
  FakeSlave drain() {
    try {
      while (Fds.awaitReadable(channel.fd(), 100)) {
        final RelayReader message = channel.receive();
        if (message != null) {
          received.add(message.type());
          note(message);
        }
      }
    } catch (final RelayClosedException e) {
      // That was the last.
    }
    return this;
  }

  private void note(final RelayReader message) {
    if (message.type() == RelayMessageType.WELCOME) {
      id = message.getInt();
    } else if (message.type() == RelayMessageType.SESSION) {
      final SessionDescription description = SessionDescription.read(message);
      final long version = message.getLong();
      message.getBytes();
      final int slotCount = message.getInt();
      final List<Integer> slots = new ArrayList<>();
      for (int i = 0; i < slotCount; i++) {
        slots.add(message.getInt());
      }
      final List<Integer> fds = new ArrayList<>();
      for (final int fd : message.takeFds()) {
        fds.add(fd);
      }
      final Held before = sessions.put(message.id(), new Held(description, version, slots, fds));
      if (before != null) {
        before.close();
      }
    }
  }

  RelayWriter begin(final RelayMessageType type, final long messageId, final long sequence) {
    return channel.begin(type, messageId, sequence);
  }

  void send() {
    channel.send();
  }

  /** Becomes the owner, as after the mutex came. */
  void takeSeat(final int seat, final boolean ownerDied) throws IOException {
    takeSeat(seat, ownerDied, true);
  }

  /** The same, before a request was completed. */
  void takeSeatOfDeadOwner(final int seat) throws IOException {
    takeSeat(seat, true, false);
  }

  private void takeSeat(final int seat, final boolean ownerDied, final boolean measured)
      throws IOException {
    try (SeatSegment segment = SeatSegment.open(segments(), seat)) {
      segment.putTakeover(report(segment.takeOwnership(pid), ownerDied, measured));
      channel.begin(RelayMessageType.SEAT_TAKEN, seat, segment.epoch());
    }
    channel.send();
  }

  /** Measures the takeover of a seat from a dead owner, and tells nobody. */
  void measureSilently(final int seat, final int deadPid) throws IOException {
    try (SeatSegment segment = SeatSegment.open(segments(), seat)) {
      segment.putTakeover(report(deadPid, true, true));
    }
  }

  private static TakeoverReport report(
      final int previousPid, final boolean ownerDied, final boolean measured) {
    final long firstCompletionNs = measured ? 400_000 : -1;
    return new TakeoverReport(
        measured, previousPid, ownerDied, false, 100_000, 0, 1000, 2000, firstCompletionNs, 1, 3);
  }

  SegmentDirectory segments() throws IOException {
    final String text = Files.readString(runDirectory.resolve("instance")).trim();
    return SegmentDirectory.of(Long.parseUnsignedLong(text, 16));
  }

  /** Starts as a slave does that the master started for a seat: up to being its owner. */
  FakeSlave serve(final int seat) throws IOException {
    hello();
    expect(RelayMessageType.SEAT);
    takeSeat(seat, false);
    return this;
  }

  /** Starts as a standby that becomes warm. */
  FakeSlave standBy() {
    hello();
    expect(RelayMessageType.SEAT);
    channel.begin(RelayMessageType.STANDBY_READY, 0, 0);
    channel.send();
    return this;
  }

  /** Answers BDEV messages with success until something else comes. */
  void answerBdev(final RelayMessageType type, final int errno, final String text) {
    final RelayReader message = expect(type);
    answerBdev(message.id(), message.sequence(), errno, text);
  }

  /** Answers one that was expected before. */
  void answerBdev(final long bdevId, final long sequence, final int errno, final String text) {
    channel
        .begin(RelayMessageType.BDEV_RESULT, bdevId, sequence)
        .putInt(errno)
        .putString(text)
        .putLong(0);
    channel.send();
  }

  void reply(final long session, final long sequence, final long version, final byte[] reply) {
    AnswerMaker.writeReply(
        channel.begin(RelayMessageType.ANSWER, session, sequence), version, reply);
    channel.send();
  }

  void closed(final long session) {
    channel.begin(RelayMessageType.SESSION_CLOSED, session, 0);
    channel.send();
    final Held held = sessions.remove(session);
    if (held != null) {
      held.close();
    }
  }

  /** Hands everything back to a new master. */
  void handBack(final boolean warm, final int... ownedSeats) {
    hello(ownedSeats);
    sessions.forEach(
        (session, held) -> {
          final RelayWriter writer = channel.begin(RelayMessageType.SESSION, session, 0);
          held.description().write(writer);
          writer
              .putLong(held.version())
              .putBytes(new byte[] {(byte) held.version()})
              .putInt(held.slots().size());
          held.slots().forEach(writer::putInt);
          held.fds().forEach(writer::putFd);
          channel.send();
        });
    channel.begin(RelayMessageType.ADOPTED, 0, 0).putInt(warm ? 1 : 0);
    channel.send();
  }

  boolean isHungUpOn() {
    try {
      while (true) {
        final RelayReader message = channel.receive();
        if (message == null && !Fds.awaitReadable(channel.fd(), WAIT_MS)) {
          return false;
        }
      }
    } catch (final RelayClosedException e) {
      return true;
    }
  }

  /** The connection is lost, as by the master's death; the process lives. */
  void disconnect() {
    channel.close();
  }

  /** Killed. */
  void die() {
    close();
    processes.die(pid);
  }

  @Override
  public void close() {
    if (channel != null) {
      channel.close();
    }
    sessions.values().forEach(Held::close);
    sessions.clear();
  }
}

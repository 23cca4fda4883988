package io.virtnvme.master.relay;

import io.virtnvme.ipc.relay.NvmeDescription;
import io.virtnvme.ipc.relay.RelayChannel;
import io.virtnvme.ipc.relay.RelayReader;
import io.virtnvme.ipc.relay.RelayWriter;
import io.virtnvme.ipc.relay.SessionDescription;
import io.virtnvme.ipc.segment.BootId;
import io.virtnvme.ipc.segment.SegmentDirectory;
import io.virtnvme.ipc.sys.Fds;
import io.virtnvme.ipc.sys.UnixSocket;
import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.function.Consumer;

/** A relay stepped by hand: slaves are a list of what they would have been told. */
final class RelayFixture implements AutoCloseable {
  final SegmentDirectory segments;
  final EventLoop loop = new EventLoop(System::nanoTime);
  final MasterCounters counters = new MasterCounters();
  final List<FrontEndSession> relayed = new ArrayList<>();
  final List<FrontEndSession> shared = new ArrayList<>();
  final List<FrontEndSession> closing = new ArrayList<>();
  final List<FrontEndSession> ended = new ArrayList<>();
  boolean slavesKnowSessions = true;
  boolean standbysReceive = true;
  Runnable onShareOwners = () -> {};
  final Relay relay;
  private final RelayChannel slaveEnd;
  private final RelayChannel masterEnd;

  RelayFixture(final Path directory) throws IOException {
    segments = new SegmentDirectory(directory, 0x77, BootId.current());
    relay =
        new Relay(
            loop,
            segments,
            counters,
            new SlaveSide() {
              @Override
              public void relay(final FrontEndSession session) {
                relayed.add(session);
              }

              @Override
              public void share(final FrontEndSession session) {
                shared.add(session);
              }

              @Override
              public void shareOwners(final FrontEndSession session) {
                shared.add(session);
                onShareOwners.run();
              }

              @Override
              public boolean isShared(final FrontEndSession session) {
                return standbysReceive;
              }

              @Override
              public boolean close(final FrontEndSession session) {
                closing.add(session);
                return slavesKnowSessions;
              }

              @Override
              public void onEnded(final FrontEndSession session) {
                ended.add(session);
              }
            });
    final String path = directory.resolve("chan").toString();
    final int listener = UnixSocket.listenSeqPacket(path, 1);
    slaveEnd = new RelayChannel(UnixSocket.connectSeqPacket(path));
    masterEnd = new RelayChannel(UnixSocket.accept(listener));
    Fds.close(listener);
  }

  static SessionDescription description(final String controller) {
    return new SessionDescription(
        SessionDescription.Protocol.VHOST_USER_BLK, controller, 0, 9, 4, false, false);
  }

  static SessionDescription nvmeDescription(final String traddr) {
    return SessionDescription.ofNvme(
        traddr,
        0,
        new NvmeDescription(
            "nqn.2024-01.org.virtnvme:d", "S1", "M", 1, 32, true, false, 8, 64, List.of()));
  }

  /** A connected front-end that speaks vfio-user; its session is the relay's newest, if any. */
  FrontEndPeer connectNvme(final String traddr) {
    final int[] pair = UnixSocket.streamPair();
    Fds.setNonBlocking(pair[1], true);
    relay.open(nvmeDescription(traddr), pair[1]);
    return new FrontEndPeer(pair[0]);
  }

  /** A connected front-end; its session is the relay's newest. */
  FrontEndPeer connect(final String controller) {
    final int[] pair = UnixSocket.streamPair();
    Fds.setNonBlocking(pair[1], true);
    relay.open(description(controller), pair[1]);
    return new FrontEndPeer(pair[0]);
  }

  void step() {
    for (int i = 0; i < 3; i++) {
      loop.doWork(false);
      relay.doWork();
    }
  }

  /** Lets the slave answer, through a real channel. */
  void answer(
      final FrontEndSession session, final long sequence, final Consumer<RelayWriter> body) {
    body.accept(slaveEnd.begin(AnswerMaker.TYPE, session.id(), sequence));
    if (!slaveEnd.send()) {
      throw new IllegalStateException("answer not sent");
    }
    final RelayReader reader = masterEnd.receive();
    relay.onAnswer(session, reader.sequence(), reader);
  }

  void reply(final FrontEndSession session, final long version, final byte[] reply) {
    answer(session, session.sequence(), writer -> AnswerMaker.writeReply(writer, version, reply));
  }

  /** What the slave would have received of the message under way. */
  static byte[] bytesOf(final FrontEndSession session) {
    return session.message().bytes();
  }

  @Override
  public void close() {
    relay.close();
    loop.close();
    slaveEnd.close();
    masterEnd.close();
  }
}

package io.virtnvme.slave.control;

import static org.awaitility.Awaitility.await;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.virtnvme.ipc.relay.BdevDescription;
import io.virtnvme.ipc.relay.RelayChannel;
import io.virtnvme.ipc.relay.RelayMessageType;
import io.virtnvme.ipc.relay.RelayReader;
import io.virtnvme.ipc.relay.RelayWriter;
import io.virtnvme.ipc.relay.SessionDescription;
import io.virtnvme.ipc.segment.BootId;
import io.virtnvme.ipc.segment.SeatSegment;
import io.virtnvme.ipc.segment.SegmentDirectory;
import io.virtnvme.ipc.segment.SessionSegment;
import io.virtnvme.ipc.sys.Epoll;
import io.virtnvme.ipc.sys.EventFd;
import io.virtnvme.ipc.sys.Fds;
import io.virtnvme.ipc.sys.Memfd;
import io.virtnvme.ipc.sys.RobustMutex;
import io.virtnvme.ipc.sys.UnixSocket;
import io.virtnvme.ipc.vhostuser.MemoryTable;
import io.virtnvme.ipc.vhostuser.VhostUserMessage;
import io.virtnvme.ipc.vhostuser.VhostUserRequest;
import io.virtnvme.ipc.vhostuser.VringAddress;
import io.virtnvme.ipc.vhostuser.VringState;
import io.virtnvme.ipc.virtio.VirtioFeature;
import io.virtnvme.slave.bdev.UringReactorIo;
import io.virtnvme.slave.reactor.ReactorEvents;
import io.virtnvme.slave.reactor.Seat;
import java.nio.file.Path;
import java.util.Map;
import java.util.TreeMap;
import java.util.concurrent.LinkedBlockingQueue;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/**
 * What a slave makes of its sessions when masters and predecessors die. The control thread is the
 * test's: what reactors tell it waits in a queue until the test runs it.
 */
class SessionsTest {
  private static final int SEAT = 0;
  private static final long SESSION = 7;
  private static final long BDEV = 1;
  private static final int QUEUE_SIZE = 16;
  private static final long MEMORY_BYTES = 1 << 16;
  private static final long GUEST_BASE = 0x1_0000_0000L;
  private static final long USER_BASE = 0x7f00_0000_0000L;
  private static final SessionDescription DESCRIPTION =
      new SessionDescription(
          SessionDescription.Protocol.VHOST_USER_BLK, "c0", SEAT, BDEV, 1, false, false);

  /** News of the reactors. */
  private final class Events implements ReactorEvents {
    @Override
    public void onSeatOwned(final int seatId) {
      tasks.add(() -> owned = true);
    }

    @Override
    public void onTakeoverMeasured(final int seatId) {}

    @Override
    public void onSessionFailed(final long sessionId, final String reason) {
      tasks.add(
          () -> {
            throw new AssertionError(reason);
          });
    }

    @Override
    public void onSeatReleased(final int seatId) {
      tasks.add(() -> released = true);
    }

    @Override
    public void execute(final Runnable task) {
      tasks.add(task);
    }

    @Override
    public void onFatal(final Throwable error) {
      tasks.add(
          () -> {
            throw new AssertionError(error);
          });
    }
  }

  @TempDir private Path folder;
  private final LinkedBlockingQueue<Runnable> tasks = new LinkedBlockingQueue<>();
  private final int memory = Memfd.create("guest", MEMORY_BYTES);
  private final int kick = EventFd.create();
  private boolean owned;
  private boolean released;
  private int listenFd;
  private Epoll epoll;
  private MasterLink link;
  private RelayChannel master;
  private SessionSegment segment;
  private RobustMutex mutex;
  private SeatSegment seatSegment;
  private Volumes volumes;
  private Seat seat;
  private Sessions sessions;

  /** A standby: somebody else has the seat. */
  @BeforeEach
  void setUp() {
    final Path path = folder.resolve("socket");
    listenFd = UnixSocket.listenSeqPacket(path.toString(), 1);
    epoll = new Epoll(4);
    link = new MasterLink(path, epoll, 1);
    connect();
    final SegmentDirectory segments = new SegmentDirectory(folder, 1, BootId.current());
    segment = SessionSegment.create(segments, SESSION);
    seatSegment = SeatSegment.create(segments, SEAT, 1);
    mutex = seatSegment.mutex(0);
    assertEquals(RobustMutex.Outcome.ACQUIRED, mutex.tryLock());
    final Devices devices = new Devices();
    volumes = new Volumes(segments, devices);
    volumes.open(
        BDEV,
        SEAT,
        new BdevDescription("disk", BdevDescription.Kind.NULL, 512, 1 << 21, "", false, ""));
    final Map<Integer, Seat> seats = new TreeMap<>();
    sessions =
        new Sessions(
            segments,
            volumes,
            devices,
            link,
            seats,
            id -> new SeatControllers(volumes, seats, id),
            tasks::add);
    seat =
        new Seat(
            SEAT,
            SeatSegment.open(segments, SEAT),
            new int[] {-1},
            false,
            0,
            UringReactorIo::new,
            new Events());
    seats.put(SEAT, seat);
  }

  @AfterEach
  void tearDown() {
    sessions.onClose(SESSION);
    runUntil(() -> sessions.isEmpty());
    if (!owned) {
      mutex.unlock();
      runUntil(() -> owned);
    }
    seat.release();
    runUntil(() -> released);
    seat.close();
    volumes.close(BDEV);
    master.close();
    link.close();
    epoll.close();
    segment.close();
    seatSegment.close();
    Fds.close(listenFd);
    Fds.close(memory);
    Fds.close(kick);
  }

  private void connect() {
    assertTrue(link.connect());
    master = new RelayChannel(UnixSocket.accept(listenFd));
    Fds.setNonBlocking(master.fd(), true);
  }

  private interface Condition {
    boolean holds();
  }

  /** Runs what reactors ask for until something is so. */
  private void runUntil(final Condition condition) {
    await()
        .until(
            () -> {
              for (Runnable task = tasks.poll(); task != null; task = tasks.poll()) {
                task.run();
              }
              return condition.holds();
            });
  }

  private void takeSeat() {
    mutex.unlock();
    runUntil(() -> owned);
    sessions.onSeatOwned(SEAT);
  }

  /** The master tells of the session; its front-end has said nothing that is in the record. */
  private void tellSession(final long version) {
    final RelayWriter writer = master.begin(RelayMessageType.SESSION, SESSION, 0);
    DESCRIPTION.write(writer);
    writer.putLong(version).putBytes(new byte[0]).putInt(0);
    final int frontEnd = EventFd.create();
    writer.putFd(frontEnd);
    assertTrue(master.send());
    Fds.close(frontEnd);
    sessions.onSession(link.receive());
  }

  private void relay(final long sequence, final byte[] message, final int... fds) {
    final RelayWriter writer =
        master.begin(RelayMessageType.RELAY, SESSION, sequence).putBytes(message);
    for (final int fd : fds) {
      writer.putFd(fd);
    }
    assertTrue(master.send());
    sessions.onRelay(link.receive());
  }

  /** Relays a message and runs until it is answered. */
  private void handle(final long sequence, final byte[] message, final int... fds) {
    relay(sequence, message, fds);
    awaitAnswer(sequence);
  }

  private void awaitAnswer(final long sequence) {
    final RelayReader[] answer = new RelayReader[1];
    runUntil(
        () -> {
          answer[0] = master.receive();
          return answer[0] != null;
        });
    assertEquals(RelayMessageType.ANSWER, answer[0].type());
    assertEquals(sequence, answer[0].sequence());
  }

  private RelayReader expect(final RelayMessageType type) {
    final RelayReader message = master.receive();
    assertEquals(type, message.type());
    return message;
  }

  /** The version of the record that a new master is handed. */
  private long handedBackVersion() {
    sessions.handBack();
    final RelayReader message = expect(RelayMessageType.SESSION);
    SessionDescription.read(message);
    return message.getLong();
  }

  private static byte[] vring(final VhostUserRequest request, final int num) {
    final byte[] message = VhostUserMessage.request(request, 0, VringState.LENGTH);
    VringState.put(message, 0, num);
    return message;
  }

  private static byte[] memoryTable() {
    final byte[] message =
        VhostUserMessage.request(VhostUserRequest.SET_MEM_TABLE, 0, MemoryTable.length(1));
    MemoryTable.putCount(message, 1);
    MemoryTable.putRegion(message, 0, GUEST_BASE, MEMORY_BYTES, USER_BASE, 0);
    return message;
  }

  private static byte[] address() {
    final byte[] message =
        VhostUserMessage.request(VhostUserRequest.SET_VRING_ADDR, 0, VringAddress.LENGTH);
    VringAddress.put(message, 0, 0, USER_BASE, USER_BASE + 0x2000, USER_BASE + 0x1000, 0);
    return message;
  }

  /** A ring that runs; the next message's sequence. */
  private long startRing() {
    long sequence = 0;
    handle(
        ++sequence,
        VhostUserMessage.requestU64(
            VhostUserRequest.SET_FEATURES, 0, VirtioFeature.of(VirtioFeature.VERSION_1)));
    handle(++sequence, memoryTable(), memory);
    handle(++sequence, vring(VhostUserRequest.SET_VRING_NUM, QUEUE_SIZE));
    handle(++sequence, address());
    handle(++sequence, VhostUserMessage.requestU64(VhostUserRequest.SET_VRING_KICK, 0, 0), kick);
    return sequence + 1;
  }

  /**
   * The answer to what the dead master asked comes when the new one was told the record before.
   * That one did not ask: it would have an older record than the slave, and the reply twice.
   */
  @Test
  void shouldAnswerOnlyTheMasterThatAsked() {
    tellSession(0);
    expect(RelayMessageType.SESSION_PREPARED);
    takeSeat();
    final long sequence = startRing();
    // Its ring must come to a stop first, so there is no answer before the reactor's word is heard.
    final byte[] message = vring(VhostUserRequest.GET_VRING_BASE, 0);
    relay(sequence, message);
    assertNull(master.receive());
    master.close();
    assertNull(link.receive());
    connect();
    handedBackVersion();
    await().until(() -> !tasks.isEmpty());
    runUntil(tasks::isEmpty);
    assertNull(master.receive(), "nobody asked");

    relay(sequence, message);
    awaitAnswer(sequence);
    runUntil(tasks::isEmpty);
    assertNull(master.receive(), "asked once");
  }

  /** The dead owner was applying a newer record than the standby has heard of. */
  @Test
  void shouldNotServeFromARecordThatTheDeadOwnerHadLeftBehind() {
    tellSession(1);
    expect(RelayMessageType.SESSION_PREPARED);
    segment.applying(2);
    takeSeat();
    tellSession(2);
    assertEquals(2, handedBackVersion());
  }

  @Test
  void shouldServeFromTheNewestRecordAtOnce() {
    tellSession(1);
    expect(RelayMessageType.SESSION_PREPARED);
    segment.applying(1);
    takeSeat();
    tellSession(2);
    assertEquals(1, handedBackVersion(), "what the owner has is the newest");
  }
}

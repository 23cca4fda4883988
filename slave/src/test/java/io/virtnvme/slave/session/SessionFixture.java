package io.virtnvme.slave.session;

import static org.junit.jupiter.api.Assertions.assertEquals;

import io.virtnvme.ipc.relay.BdevDescription;
import io.virtnvme.ipc.relay.SessionDescription;
import io.virtnvme.ipc.segment.BootId;
import io.virtnvme.ipc.segment.SegmentDirectory;
import io.virtnvme.ipc.segment.SessionSegment;
import io.virtnvme.ipc.sys.EventFd;
import io.virtnvme.ipc.sys.Fds;
import io.virtnvme.ipc.sys.Memfd;
import io.virtnvme.ipc.vhostuser.ConfigSpace;
import io.virtnvme.ipc.vhostuser.InflightArea;
import io.virtnvme.ipc.vhostuser.LogArea;
import io.virtnvme.ipc.vhostuser.MemoryTable;
import io.virtnvme.ipc.vhostuser.VhostUserMessage;
import io.virtnvme.ipc.vhostuser.VhostUserRequest;
import io.virtnvme.ipc.vhostuser.VringAddress;
import io.virtnvme.ipc.vhostuser.VringState;
import io.virtnvme.slave.JvmDescriptors;
import io.virtnvme.slave.bdev.Bdev;
import io.virtnvme.slave.bdev.BlockChannel;
import io.virtnvme.slave.bdev.ReactorIo;
import io.virtnvme.slave.virtqueue.DirtyLog;
import io.virtnvme.slave.virtqueue.GuestMemory;
import io.virtnvme.slave.virtqueue.QueueSetup;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.LinkOption;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.stream.Stream;

/**
 * A session with everything around it that is not under test, and the master's part: it keeps
 * copies of the descriptors by slot, as answers tell it, and can hand them to a successor.
 */
final class SessionFixture implements AutoCloseable {
  static final int QUEUE_COUNT = 4;
  static final int QUEUE_SIZE = 128;
  static final long GUEST_BASE = 0x1_0000_0000L;
  static final long USER_BASE = 0x7f00_0000_0000L;
  static final long MEMORY_BYTES = 1 << 20;
  static final int NEED_REPLY = VhostUserMessage.NEED_REPLY_FLAG;

  final FakeRingHost host = new FakeRingHost();
  final List<Answer> answers = new ArrayList<>();
  final SessionSegment segment;
  final VhostUserSession session;
  final Map<Integer, Integer> masterFds = new TreeMap<>();
  private final Path folder;
  private final SessionDescription description;
  private boolean sessionEnded;

  SessionFixture(final Path folder) {
    this(folder, description(false, true));
  }

  SessionFixture(final Path folder, final SessionDescription description) {
    this(folder, description, true);
  }

  private SessionFixture(
      final Path folder, final SessionDescription description, final boolean create) {
    final SegmentDirectory directory = new SegmentDirectory(folder, 1, BootId.current());
    this.folder = folder;
    this.description = description;
    this.segment = create ? SessionSegment.create(directory, 7) : SessionSegment.open(directory, 7);
    this.session = new VhostUserSession(7, description, segment, new FakeBdev(), () -> host);
  }

  static SessionDescription description(final boolean readOnly, final boolean packed) {
    return new SessionDescription(
        SessionDescription.Protocol.VHOST_USER_BLK, "c0", 0, 1, QUEUE_COUNT, readOnly, packed);
  }

  /** A session of another slave with this one's record and descriptors, as the master has them. */
  SessionFixture successor() {
    return successor(session.version(), session.record());
  }

  /** A session of another slave that was told nothing yet. */
  SessionFixture unloaded() {
    return new SessionFixture(folder, description, false);
  }

  SessionFixture successor(final long version, final byte[] record) {
    final SessionFixture next = new SessionFixture(folder, description, false);
    next.load(version, record, masterFds);
    return next;
  }

  /** Loads a record with copies of descriptors. */
  void load(final long version, final byte[] record, final Map<Integer, Integer> fdsBySlot) {
    session.load(
        version,
        record,
        fdsBySlot.keySet().stream().mapToInt(slot -> slot).toArray(),
        fdsBySlot.values().stream().mapToInt(Fds::duplicate).toArray());
    masterFds.values().forEach(Fds::close);
    masterFds.clear();
    fdsBySlot.forEach((slot, fd) -> masterFds.put(slot, Fds.duplicate(fd)));
  }

  /** Sends a message with copies of {@code fds}; the originals stay the caller's. */
  void post(final byte[] message, final int... fds) {
    final int[] copies = Arrays.stream(fds).map(Fds::duplicate).toArray();
    session.onMessage(
        message,
        copies,
        answer -> {
          for (int i = 0; i < answer.slots().length; i++) {
            final int source = answer.sources()[i];
            final Integer before =
                source == Answer.EMPTY
                    ? masterFds.remove(answer.slots()[i])
                    : masterFds.put(
                        answer.slots()[i],
                        Fds.duplicate(
                            source >= Answer.NEW_FD
                                ? answer.newFds()[source - Answer.NEW_FD]
                                : fds[source]));
            if (before != null) {
              Fds.close(before);
            }
          }
          answers.add(answer);
        });
  }

  /** Sends a message and returns its answer, which must come at once. */
  Answer send(final byte[] message, final int... fds) {
    final int before = answers.size();
    post(message, fds);
    assertEquals(before + 1, answers.size(), "answers");
    return answers.get(before);
  }

  /** As {@link #send}, and the message must be accepted. */
  Answer ok(final byte[] message, final int... fds) {
    final Answer answer = send(message, fds);
    assertEquals("", answer.reason());
    return answer;
  }

  /** The test has closed the session itself. */
  void endWithoutSession() {
    sessionEnded = true;
  }

  @Override
  public void close() {
    host.deferred = false;
    host.runCallbacks();
    if (!sessionEnded) {
      final boolean[] done = new boolean[1];
      session.close(() -> done[0] = true);
      assertEquals(true, done[0], "closed");
    }
    masterFds.values().forEach(Fds::close);
    segment.close();
  }

  // Messages, as a front-end sends them.

  static byte[] bare(final VhostUserRequest request) {
    return VhostUserMessage.request(request, 0, 0);
  }

  static byte[] u64(final VhostUserRequest request, final long value) {
    return VhostUserMessage.requestU64(request, 0, value);
  }

  static byte[] vring(final VhostUserRequest request, final int index, final int num) {
    final byte[] message = VhostUserMessage.request(request, 0, VringState.LENGTH);
    VringState.put(message, index, num);
    return message;
  }

  /** A ring whose parts lie one after the other in page {@code 4 * index} and behind. */
  static byte[] address(final int index) {
    return address(index, 0, USER_BASE + index * 0x4000L);
  }

  static byte[] address(final int index, final int flags, final long userAddress) {
    final byte[] message =
        VhostUserMessage.request(VhostUserRequest.SET_VRING_ADDR, 0, VringAddress.LENGTH);
    VringAddress.put(
        message, index, flags, userAddress, userAddress + 0x2000, userAddress + 0x1000, 0x5000);
    return message;
  }

  static byte[] memoryTable(final long... regions) {
    final int count = regions.length / 4;
    final byte[] message =
        VhostUserMessage.request(VhostUserRequest.SET_MEM_TABLE, 0, MemoryTable.length(count));
    MemoryTable.putCount(message, count);
    for (int i = 0; i < count; i++) {
      MemoryTable.putRegion(
          message, i, regions[4 * i], regions[4 * i + 1], regions[4 * i + 2], regions[4 * i + 3]);
    }
    return message;
  }

  /** One region with all the memory. */
  static byte[] memoryTable() {
    return memoryTable(GUEST_BASE, MEMORY_BYTES, USER_BASE, 0);
  }

  static byte[] region(
      final VhostUserRequest request,
      final long guestAddress,
      final long lengthBytes,
      final long userAddress,
      final long offsetBytes) {
    final byte[] message = VhostUserMessage.request(request, 0, MemoryTable.SINGLE_LENGTH);
    MemoryTable.putRegion(message, 0, guestAddress, lengthBytes, userAddress, offsetBytes);
    return message;
  }

  static byte[] inflight(
      final VhostUserRequest request,
      final long lengthBytes,
      final long offsetBytes,
      final int queueCount,
      final int queueSize) {
    final byte[] message = VhostUserMessage.request(request, 0, InflightArea.PADDED_LENGTH);
    InflightArea.put(message, lengthBytes, offsetBytes, queueCount, queueSize);
    return message;
  }

  static byte[] log(final long lengthBytes, final long offsetBytes) {
    final byte[] message =
        VhostUserMessage.request(VhostUserRequest.SET_LOG_BASE, 0, LogArea.LENGTH);
    LogArea.put(message, lengthBytes, offsetBytes);
    return message;
  }

  static byte[] config(
      final VhostUserRequest request,
      final int offset,
      final int size,
      final int flags,
      final int value) {
    final byte[] message = VhostUserMessage.request(request, 0, ConfigSpace.length(size));
    ConfigSpace.put(message, offset, size, flags);
    Arrays.fill(message, ConfigSpace.bytesIndex(), message.length, (byte) value);
    return message;
  }

  /** The same message with NEED_REPLY. */
  static byte[] acknowledged(final byte[] message) {
    final byte[] copy = message.clone();
    copy[VhostUserMessage.FLAGS_OFFSET] |= NEED_REPLY;
    return copy;
  }

  static int memfd() {
    return Memfd.create("guest", MEMORY_BYTES);
  }

  static int eventFd() {
    return EventFd.create();
  }

  // Descriptors of this process.

  /**
   * What this process has open that a session can have: the JVM opens files of its own at times.
   */
  static Map<String, Integer> openFds() {
    JvmDescriptors.settle();
    final Map<String, Integer> counts = new TreeMap<>();
    try (Stream<Path> open = Files.list(Path.of("/proc/self/fd"))) {
      for (final Path fd : open.toList()) {
        final String target = target(fd);
        if (target.startsWith("/memfd:guest")
            || target.startsWith("/memfd:virtnvme")
            || target.startsWith("/memfd:log")
            || target.startsWith("anon_inode:[eventfd]")
            || target.startsWith("socket:")
            || target.startsWith("pipe:")
            || target.endsWith("/file")) {
          counts.merge(target, 1, Integer::sum);
        }
      }
    } catch (final IOException e) {
      throw new IllegalStateException(e);
    }
    return counts;
  }

  private static String target(final Path fd) {
    try {
      return Files.readSymbolicLink(fd).toString();
    } catch (final IOException e) {
      // Closed since the folder was listed: the listing's own descriptor.
      return "";
    }
  }

  static boolean isClosed(final int fd) {
    return !Files.exists(Path.of("/proc/self/fd/" + fd), LinkOption.NOFOLLOW_LINKS);
  }

  static QueueSetup with(
      final QueueSetup setup, final GuestMemory memory, final DirtyLog log, final long features) {
    return copy(setup, memory, log, features, setup.callFd(), setup.writeback());
  }

  static QueueSetup withCall(final QueueSetup setup, final int callFd) {
    return copy(setup, setup.memory(), setup.log(), setup.features(), callFd, setup.writeback());
  }

  static QueueSetup withWriteback(final QueueSetup setup, final boolean on) {
    return copy(setup, setup.memory(), setup.log(), setup.features(), setup.callFd(), on);
  }

  private static QueueSetup copy(
      final QueueSetup setup,
      final GuestMemory memory,
      final DirtyLog log,
      final long features,
      final int callFd,
      final boolean writeback) {
    return new QueueSetup(
        setup.sessionId(),
        setup.queueIndex(),
        setup.queueSize(),
        setup.packed(),
        features,
        memory,
        setup.descriptorAddress(),
        setup.availAddress(),
        setup.usedAddress(),
        setup.usedLogAddress(),
        log,
        setup.kickFd(),
        callFd,
        setup.inflightAddress(),
        setup.inflightQueueSize(),
        setup.base(),
        setup.countersAddress(),
        setup.bdev(),
        setup.readOnly(),
        writeback,
        setup.serial());
  }

  /** 1 GiB of 512-byte blocks. */
  static final class FakeBdev implements Bdev {
    private BdevDescription description =
        new BdevDescription(
            "disk0",
            BdevDescription.Kind.NULL,
            512,
            1 << 21,
            "",
            false,
            "a serial of more than 20");

    @Override
    public BdevDescription description() {
      return description;
    }

    @Override
    public boolean needsFence() {
      return false;
    }

    @Override
    public boolean tryFence() {
      return true;
    }

    @Override
    public BlockChannel channel(final ReactorIo io) {
      throw new UnsupportedOperationException();
    }

    @Override
    public void resize(final long blockCount) {
      description = description.withBlockCount(blockCount);
    }

    @Override
    public void close() {}
  }
}

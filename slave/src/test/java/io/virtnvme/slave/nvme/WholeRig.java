package io.virtnvme.slave.nvme;

import io.virtnvme.ipc.memory.Mem;
import io.virtnvme.ipc.relay.BdevDescription;
import io.virtnvme.ipc.segment.SeatSegment;
import io.virtnvme.ipc.segment.SessionSegment;
import io.virtnvme.ipc.sys.Fds;
import io.virtnvme.ipc.sys.Mapping;
import io.virtnvme.ipc.sys.Memfd;
import io.virtnvme.slave.bdev.Bdev;
import io.virtnvme.slave.bdev.BlockChannel;
import io.virtnvme.slave.bdev.ReactorIo;
import io.virtnvme.slave.reactor.PreparedSession;
import io.virtnvme.slave.reactor.ReactorEvents;
import io.virtnvme.slave.reactor.SteppedSeat;
import io.virtnvme.slave.virtqueue.GuestMemory;
import io.virtnvme.slave.virtqueue.MemoryRegion;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Deque;
import java.util.List;
import java.util.Random;
import java.util.UUID;

/**
 * A whole NVMe controller in one thread: guest memory, doorbell page, controller area and disk
 * outlive its slaves, of which one after the other has a control thread and two reactors. The next
 * one stands by, with queues prepared from an image that may be out of date.
 */
final class WholeRig implements AutoCloseable {
  static final long GUEST = 0x40_0000;
  static final int PAGE = 4096;
  static final int GUEST_BYTES = 128 * PAGE;
  static final int BLOCK = 512;
  static final int BLOCK_COUNT = 64;

  private static final long SESSION = 3;
  private static final long RECORD_VERSION = 5;
  private static final int REACTORS = 2;
  private static final ControllerConfig CONFIG =
      new ControllerConfig("nqn.x:d", "S", "M", 1, 0x1B36, 0x1AF4, 8, 64, 9, 8);

  /** One slave, its control thread and its reactors. */
  private final class Slave implements ReactorEvents, QueueEvents {
    final Deque<Runnable> tasks = new ArrayDeque<>();
    final List<DiskIo> ios = new ArrayList<>();
    final SteppedSeat seat;
    final SessionQueues queues;
    NvmeController controller;

    Slave() {
      seat = new SteppedSeat(seatBlocks, this::newIo, this);
      queues =
          seat.queues(
              new SessionParts(
                  SESSION,
                  area,
                  doorbells,
                  true,
                  CONFIG.namespaceIdMax(),
                  segment,
                  memory,
                  new int[] {-1, -1, -1},
                  List.of(new NamespaceVolume(namespace(BLOCK_COUNT), new Disk()))),
              this);
      prepare();
    }

    private ReactorIo newIo() {
      final DiskIo io = new DiskIo();
      ios.add(io);
      return io;
    }

    void prepare() {
      seat.prepare(new PreparedSession(SESSION, RECORD_VERSION, segment, queues.prepared()));
    }

    /** Prepared queues first, then what the control thread decides from the image. */
    void takeOver() {
      for (int reactor = 0; reactor < REACTORS; reactor++) {
        seat.takeOver(reactor);
      }
      controller =
          new NvmeController(
              CONFIG,
              List.of(namespace(blockCount)),
              area.image(),
              queues,
              queues::totals,
              () -> 1000);
      controller.resume();
    }

    @Override
    public void onAdminRequest(final AdminRequest request) {
      controller.execute(request);
    }

    @Override
    public void onDoorbellFault(final DoorbellFault fault) {
      throw new AssertionError("the driver made no such mistake: " + fault);
    }

    @Override
    public void onCommandFailed(final CommandError error, final Runnable whenLogged) {
      throw new AssertionError("failed: " + error);
    }

    @Override
    public void execute(final Runnable task) {
      tasks.add(task);
    }

    @Override
    public void onSeatOwned(final int seatId) {}

    @Override
    public void onTakeoverMeasured(final int seatId) {}

    @Override
    public void onSessionFailed(final long sessionId, final String reason) {
      throw new AssertionError("session failed: " + reason);
    }

    @Override
    public void onSeatReleased(final int seatId) {}

    @Override
    public void onFatal(final Throwable error) {
      throw new AssertionError(error);
    }
  }

  private record Held(int operation, long iovecs, int iovecCount, long offset, long tag) {}

  /** What a reactor of a slave has handed to the kernel: ends in any order, some turns later. */
  private final class DiskIo implements ReactorIo, BlockChannel {
    private static final int ROOM = 3;

    final List<Held> held = new ArrayList<>();
    private int turn;

    @Override
    public int submit(
        final int operation,
        final long iovecs,
        final int iovecCount,
        final long offsetBytes,
        final long lengthBytes,
        final int flags,
        final long tag) {
      if (held.size() == ROOM) {
        return RETRY;
      }
      held.add(new Held(operation, iovecs, iovecCount, offsetBytes, tag));
      return PENDING;
    }

    @Override
    public int poll(final Listener listener, final int limit) {
      turn++;
      if (held.isEmpty() || turn % 3 == 0) {
        return 0;
      }
      final Held ended = held.remove(turn % held.size());
      carryOut(ended);
      listener.onIoEnd(ended.tag, 0);
      return 1;
    }

    @Override
    public int inFlightCount() {
      return held.size();
    }

    @Override
    public int fd() {
      return -1;
    }

    @Override
    public long lengthBytes() {
      return (long) BLOCK_COUNT * BLOCK;
    }

    @Override
    public int blockBytes() {
      return BLOCK;
    }

    @Override
    public void close() {}
  }

  private static final class Disk implements Bdev {
    @Override
    public BlockChannel channel(final ReactorIo io) {
      return (DiskIo) io;
    }

    @Override
    public BdevDescription description() {
      return new BdevDescription("d", BdevDescription.Kind.MEM, BLOCK, BLOCK_COUNT, "", false, "d");
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
    public void resize(final long newBlockCount) {}

    @Override
    public void close() {}
  }

  /** A register write that waits for its answer, as the master keeps it. */
  private record Message(int offset, int width, long value, Runnable whenAnswered) {}

  final long doorbells = Mem.allocate(PAGE);
  private final Random random;
  private final SessionSegment segment;
  private final int areaFd = Memfd.create("area", ControllerAreaDescriptor.LENGTH);
  private final Mapping areaMapping = Mapping.map(areaFd, 0, ControllerAreaDescriptor.LENGTH);
  private final ControllerArea area = new ControllerArea(areaMapping.address());
  private final long guestAllocation = Mem.allocate(GUEST_BYTES + PAGE);
  private final long guestHost = (guestAllocation + PAGE - 1) & -PAGE;
  private final DmaMemory memory;
  private final long[] seatBlocks = new long[REACTORS];
  private final byte[] disk = new byte[BLOCK_COUNT * BLOCK];
  private long blockCount = BLOCK_COUNT;
  private boolean isBlockCountTold = true;
  private Message message;
  private Slave slave;
  private Slave standby;

  WholeRig(final SessionSegment segment, final Random random) {
    this.segment = segment;
    this.random = random;
    segment.applying(RECORD_VERSION);
    area.format(1);
    for (int i = 0; i < REACTORS; i++) {
      seatBlocks[i] = Mem.allocate(SeatSegment.REACTOR_LENGTH);
    }
    final GuestMemory map =
        GuestMemory.of(List.of(new MemoryRegion(GUEST, GUEST, GUEST_BYTES, guestHost, -1, 0)));
    memory = new DmaMemory(map, map);
    slave = new Slave();
    slave.takeOver();
    standby = new Slave();
  }

  private static Namespace namespace(final long blocks) {
    return new Namespace(1, blocks, BLOCK, false, new UUID(0x4000, 0x8000_0000_0000_0001L));
  }

  /** Whether a store there counts: what reactors tell about themselves decides nothing. */
  boolean isJudged(final long address) {
    for (final long block : seatBlocks) {
      if (address >= block && address < block + SeatSegment.REACTOR_LENGTH) {
        return false;
      }
    }
    return true;
  }

  /** One step of the living slave: of its control thread, or of a reactor. */
  void step() {
    final int choice = random.nextInt(4);
    if (choice == 0 && !slave.tasks.isEmpty()) {
      slave.tasks.remove().run();
    } else {
      slave.seat.doWork(choice % REACTORS, 1);
    }
    if (random.nextInt(16) == 0) {
      standby.prepare();
    }
  }

  /** The slave dies here. What it had handed to the kernel happens or does not. */
  void die() {
    for (final DiskIo io : slave.ios) {
      for (final Held held : io.held) {
        if (random.nextBoolean()) {
          carryOut(held);
        }
      }
    }
    slave.seat.close();
    slave = standby;
    standby = null;
  }

  /** The standby takes over; what the master has not heard the end of is said again. */
  void succeed() {
    slave.takeOver();
    final Message unanswered = message;
    if (unanswered != null) {
      send(unanswered);
    }
    if (!isBlockCountTold) {
      resize(blockCount);
    }
    standby = new Slave();
  }

  /** Somebody stands by in the place of one that died while it took over. */
  void stand() {
    standby = new Slave();
  }

  private void carryOut(final Held request) {
    int at = (int) request.offset;
    for (int i = 0; i < request.iovecCount && request.operation <= BlockChannel.OP_WRITE; i++) {
      final long base = Mem.getLong(request.iovecs + i * 16L);
      final int bytes = (int) Mem.getLong(request.iovecs + i * 16L + 8);
      if (request.operation == BlockChannel.OP_READ) {
        Mem.copyIn(disk, at, base, bytes);
      } else {
        Mem.copyOut(base, disk, at, bytes);
      }
      at += bytes;
    }
  }

  /** The master brings a register write; one at a time. */
  void write(final int offset, final int width, final long value, final Runnable whenAnswered) {
    if (message != null) {
      throw new AssertionError("the front-end waits for an answer");
    }
    send(new Message(offset, width, value, whenAnswered));
  }

  private void send(final Message sent) {
    message = sent;
    final Slave asked = slave;
    asked.controller.writeRegister(
        sent.offset,
        sent.width,
        sent.value,
        () -> {
          if (slave == asked) {
            if (message == null) {
              throw new AssertionError("answered twice: " + sent);
            }
            message = null;
            sent.whenAnswered.run();
          }
        });
  }

  int readRegister(final int offset) {
    return (int) slave.controller.readRegister(offset, 4);
  }

  /** The operator makes the disk longer. */
  void resize(final long newBlockCount) {
    blockCount = newBlockCount;
    isBlockCountTold = false;
    final Slave asked = slave;
    asked.controller.namespaces(
        List.of(namespace(newBlockCount)),
        () -> isBlockCountTold |= slave == asked && blockCount == newBlockCount);
  }

  boolean isBlockCountTold() {
    return isBlockCountTold;
  }

  long host(final long guestAddress) {
    return guestHost + guestAddress - GUEST;
  }

  byte[] disk() {
    return disk;
  }

  @Override
  public void close() {
    slave.seat.close();
    if (standby != null) {
      standby.seat.close();
    }
    for (final long block : seatBlocks) {
      Mem.free(block);
    }
    Mem.free(guestAllocation);
    Mem.free(doorbells);
    areaMapping.close();
    Fds.close(areaFd);
  }
}

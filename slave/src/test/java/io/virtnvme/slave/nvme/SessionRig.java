package io.virtnvme.slave.nvme;

import io.virtnvme.ipc.memory.Mem;
import io.virtnvme.ipc.segment.BootId;
import io.virtnvme.ipc.segment.SeatSegment;
import io.virtnvme.ipc.segment.SegmentDirectory;
import io.virtnvme.ipc.segment.SessionSegment;
import io.virtnvme.ipc.sys.Fds;
import io.virtnvme.ipc.sys.Mapping;
import io.virtnvme.ipc.sys.Memfd;
import io.virtnvme.slave.bdev.UringReactorIo;
import io.virtnvme.slave.reactor.PreparedSession;
import io.virtnvme.slave.reactor.ReactorEvents;
import io.virtnvme.slave.reactor.SteppedSeat;
import io.virtnvme.slave.virtqueue.GuestMemory;
import io.virtnvme.slave.virtqueue.MemoryRegion;
import java.nio.file.Path;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Random;

/**
 * A whole controller without processes: what outlives a slave (area, doorbells, guest memory), a
 * slave with two reactors and a control thread, all stepped in one thread, and a driver that works
 * by registers and admin commands. A slave can be dropped at any step and another one made.
 */
final class SessionRig implements AutoCloseable {
  static final int REACTORS = 2;
  static final long SESSION = 4;
  static final long GUEST = 0x10_0000;
  static final int ADMIN_ENTRIES = 8;
  static final int ENTRIES = 16;
  private static final int PAGE = 4096;
  private static final int PAGES = 256;
  private static final int STEPS_MAX = 20_000;

  /** A completion as the driver reads it. */
  record Completion(int queueId, int commandId, int status, int result) {}

  /** A driver's completion queue. */
  private final class Taken {
    final int id;
    final int entries;
    final long host;
    int head;
    int phase = 1;

    Taken(final int id, final int entries, final long host) {
      this.id = id;
      this.entries = entries;
      this.host = host;
    }

    Completion poll() {
      final long entry = host + head * 16L;
      final int last = Mem.getIntAcquire(entry + 12);
      if ((last >>> 16 & 1) != phase) {
        return null;
      }
      head++;
      if (head == entries) {
        head = 0;
        phase ^= 1;
      }
      Mem.putIntRelease(doorbells + id * 8L + 4, head);
      return new Completion(
          Mem.getInt(entry + 8) >>> 16, last & 0xFFFF, last >>> 17, Mem.getInt(entry));
    }
  }

  /** One process. */
  final class Slave implements ReactorEvents, QueueEvents, AutoCloseable {
    final ArrayDeque<Runnable> tasks = new ArrayDeque<>();
    final SteppedSeat seat;
    final SessionQueues queues;
    private final long[] seatBlocks = new long[REACTORS];
    NvmeController controller;
    final List<String> failures = new ArrayList<>();

    Slave() {
      for (int i = 0; i < REACTORS; i++) {
        seatBlocks[i] = Mem.allocate(SeatSegment.REACTOR_LENGTH);
      }
      seat = new SteppedSeat(seatBlocks, UringReactorIo::new, this);
      queues =
          seat.queues(
              new SessionParts(
                  SESSION,
                  area,
                  doorbells,
                  true,
                  4,
                  segment,
                  memory,
                  new int[] {-1, -1, -1, -1},
                  List.of(NvmeRig.volume(1, disk))),
              this);
    }

    void prepare() {
      seat.prepare(new PreparedSession(SESSION, segment.applying(), segment, queues.prepared()));
    }

    /** Takes the seat, as a standby or as a new process. */
    void takeOver() {
      for (int i = 0; i < REACTORS; i++) {
        seat.takeOver(i);
      }
      tasks.add(
          () -> {
            controller =
                new NvmeController(
                    new ControllerConfig(
                        "nqn.2014-08.org.nvmexpress:test", "1", "m", 1, 1, 1, 8, 64, 4, 4),
                    List.of(NvmeRig.volume(1, disk).namespace()),
                    area.image(),
                    queues,
                    queues::totals,
                    () -> 1);
            controller.resume();
          });
    }

    void step() {
      for (int i = 0; i < REACTORS; i++) {
        seat.doWork(i, 1);
      }
      runTasks();
    }

    void runTasks() {
      for (int left = tasks.size(); left > 0; left--) {
        tasks.poll().run();
      }
    }

    @Override
    public void onAdminRequest(final AdminRequest request) {
      controller.execute(request);
    }

    @Override
    public void onDoorbellFault(final DoorbellFault fault) {
      controller.doorbellFault(fault);
    }

    @Override
    public void onCommandFailed(final CommandError error, final Runnable whenLogged) {
      controller.commandFailed(error, whenLogged);
    }

    @Override
    public void onSeatOwned(final int seatId) {}

    @Override
    public void onTakeoverMeasured(final int seatId) {}

    @Override
    public void onSessionFailed(final long sessionId, final String reason) {
      failures.add(reason);
      tasks.add(() -> controller.fail(reason));
    }

    @Override
    public void onSeatReleased(final int seatId) {}

    @Override
    public void execute(final Runnable task) {
      tasks.add(task);
    }

    @Override
    public void onFatal(final Throwable error) {
      throw new AssertionError(error);
    }

    @Override
    public void close() {
      seat.close();
      for (final long block : seatBlocks) {
        Mem.free(block);
      }
    }
  }

  final int areaFd = Memfd.create("area", ControllerAreaDescriptor.LENGTH);
  final Mapping areaMapping = Mapping.map(areaFd, 0, ControllerAreaDescriptor.LENGTH);
  final ControllerArea area = new ControllerArea(areaMapping.address());
  final long doorbells = Mem.allocate(PAGE);
  final NvmeTestDisk disk = new NvmeTestDisk(1 << 20, 512);
  DmaMemory memory;
  final SessionSegment segment;
  private final long block = Mem.allocate((PAGES + 1L) * PAGE);
  private final long host = (block + PAGE - 1) & -PAGE;
  private final Map<Integer, TestQueue> submissions = new HashMap<>();
  private final Map<Integer, Taken> completions = new HashMap<>();
  private final Map<Integer, Completion> received = new HashMap<>();
  private int nextId;
  private int nextPage = 64;
  Slave slave;

  /** Called before each step. */
  Runnable beforeStep = () -> {};

  SessionRig(final Path folder) {
    area.format(1);
    final GuestMemory map =
        GuestMemory.of(List.of(new MemoryRegion(GUEST, GUEST, (long) PAGES * PAGE, host, -1, 0)));
    memory = new DmaMemory(map, map);
    segment = SessionSegment.create(new SegmentDirectory(folder, 1, BootId.current()), SESSION);
    segment.applying(1);
    slave = new Slave();
    slave.takeOver();
  }

  long page(final int index) {
    return GUEST + (long) index * PAGE;
  }

  long hostOf(final long guestAddress) {
    return host + guestAddress - GUEST;
  }

  /** What a write to the PCI command register does. */
  void busMaster(final boolean isBusMaster) {
    final boolean[] isDone = new boolean[1];
    memory = new DmaMemory(memory.readable(), memory.writable(), isBusMaster);
    slave.queues.memory(memory, () -> isDone[0] = true);
    for (int i = 0; i < STEPS_MAX && !isDone[0]; i++) {
      step();
    }
    if (!isDone[0]) {
      throw new AssertionError("memory is in use without end");
    }
  }

  void step() {
    beforeStep.run();
    slave.step();
    for (final Taken queue : completions.values()) {
      for (Completion next = queue.poll(); next != null; next = queue.poll()) {
        if (received.put(next.commandId, next) != null) {
          throw new AssertionError("completed twice: " + next);
        }
      }
    }
  }

  /** A death: what the disk held has happened or not; another process, prepared if there is one. */
  void replace(final Slave next, final Random random) {
    disk.die(random);
    slave.close();
    slave = next;
    slave.takeOver();
  }

  void writeRegister(final int offset, final int width, final long value) {
    final boolean[] done = new boolean[1];
    final Slave[] asked = new Slave[1];
    for (int i = 0; i < STEPS_MAX; i++) {
      // The master gives the message to the successor again.
      if (asked[0] != slave && slave.controller != null) {
        asked[0] = slave;
        slave.controller.writeRegister(offset, width, value, () -> done[0] = true);
      }
      if (done[0]) {
        return;
      }
      step();
    }
    throw new AssertionError("a register write without end: offset=" + offset);
  }

  int status() {
    return slave.controller == null ? -1 : (int) slave.controller.readRegister(0x1C, 4);
  }

  void awaitStatus(final int mask, final int value) {
    for (int i = 0; i < STEPS_MAX; i++) {
      if (status() != -1 && (status() & mask) == value) {
        return;
      }
      step();
    }
    throw new AssertionError("CSTS stays 0x" + Integer.toHexString(status()));
  }

  void enable() {
    beginEnabling();
    awaitStatus(1, 1);
  }

  /** Sets CC.EN, and does not wait. */
  void beginEnabling() {
    completions.clear();
    submissions.clear();
    received.clear();
    Mem.fill(host, 8 * PAGE, (byte) 0);
    writeRegister(0x24, 4, (ADMIN_ENTRIES - 1) << 16 | ADMIN_ENTRIES - 1);
    writeRegister(0x28, 8, page(0));
    writeRegister(0x30, 8, page(1));
    writeRegister(0x14, 4, 6 << 16 | 4 << 20 | 1);
    submissions.put(0, new TestQueue(0, ADMIN_ENTRIES, page(0), host, doorbells));
    completions.put(0, new Taken(0, ADMIN_ENTRIES, host + PAGE));
  }

  void disable() {
    writeRegister(0x14, 4, 6 << 16 | 4 << 20);
    awaitStatus(1, 0);
  }

  TestCommand command(final int opcode, final int namespaceId) {
    return new TestCommand(opcode, nextId++ & 0xFFFF, namespaceId);
  }

  void submit(final int queueId, final TestCommand command) {
    submissions.get(queueId).add(command);
    submissions.get(queueId).ring();
  }

  Completion take(final TestCommand command) {
    return received.remove(command.dwords[0] >>> 16);
  }

  boolean isDone(final TestCommand command) {
    return received.containsKey(command.dwords[0] >>> 16);
  }

  Completion await(final TestCommand command) {
    for (int i = 0; i < STEPS_MAX; i++) {
      if (isDone(command)) {
        return take(command);
      }
      step();
    }
    throw new AssertionError(
        "no completion: dword0=0x"
            + Integer.toHexString(command.dwords[0])
            + " failures="
            + slave.failures);
  }

  Completion run(final int queueId, final TestCommand command) {
    submit(queueId, command);
    return await(command);
  }

  int createCompletionQueue(final int id) {
    final long address = page(nextPage++);
    Mem.fill(hostOf(address), PAGE, (byte) 0);
    final Completion completion =
        run(0, command(5, 0).prps(address, 0).dword(10, (ENTRIES - 1) << 16 | id).dword(11, 1));
    completions.put(id, new Taken(id, ENTRIES, hostOf(address)));
    return completion.status;
  }

  int createSubmissionQueue(final int id, final int completionId) {
    final long address = page(nextPage++);
    final Completion completion =
        run(
            0,
            command(1, 0)
                .prps(address, 0)
                .dword(10, (ENTRIES - 1) << 16 | id)
                .dword(11, completionId << 16 | 1));
    submissions.put(id, new TestQueue(id, ENTRIES, address, hostOf(address), doorbells));
    return completion.status;
  }

  int deleteSubmissionQueue(final int id) {
    return run(0, command(0, 0).dword(10, id)).status;
  }

  int deleteCompletionQueue(final int id) {
    final int status = run(0, command(4, 0).dword(10, id)).status;
    completions.remove(id);
    return status;
  }

  @Override
  public void close() {
    slave.close();
    disk.close();
    segment.close();
    Mem.free(block);
    Mem.free(doorbells);
    areaMapping.close();
    Fds.close(areaFd);
  }
}

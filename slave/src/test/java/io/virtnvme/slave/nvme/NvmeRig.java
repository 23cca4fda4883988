package io.virtnvme.slave.nvme;

import io.virtnvme.ipc.memory.Mem;
import io.virtnvme.ipc.segment.SessionSegment.QueueCounter;
import io.virtnvme.ipc.sys.Fds;
import io.virtnvme.ipc.sys.Mapping;
import io.virtnvme.ipc.sys.Memfd;
import io.virtnvme.slave.virtqueue.GuestMemory;
import io.virtnvme.slave.virtqueue.MemoryRegion;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.List;
import java.util.Random;
import java.util.UUID;

/**
 * A guest's driver, its queues, a disk and an agent in one thread.
 *
 * <pre>
 *  guest   0x100000 queues, PRP lists | data A | data B    A and B touch in guest addresses,
 *  host    guard | queues, PRP lists | data A | guard | data B | guard   but not in host addresses
 * </pre>
 */
final class NvmeRig implements AutoCloseable {
  static final long GUEST = 0x10_0000;
  static final int PAGE = 4096;
  static final int DATA_BYTES = 2 << 20;
  static final int BLOCK = 512;
  static final int RING_SLOT = 3;
  private static final int QUEUE_BYTES = 64 * 1024;
  private static final int LISTS_OFFSET = 4 * QUEUE_BYTES;
  private static final int LISTS_BYTES = 64 * PAGE;
  private static final int HEAD_BYTES = LISTS_OFFSET + LISTS_BYTES;
  private static final int GUARD_BYTES = 8192;
  private static final byte GUARD = (byte) 0xA5;

  /** A completion as the driver reads it. */
  record Completion(int queueId, int commandId, int status, int result, int sqHead) {}

  final int areaFd = Memfd.create("area", ControllerAreaDescriptor.LENGTH);
  final Mapping areaMapping = Mapping.map(areaFd, 0, ControllerAreaDescriptor.LENGTH);
  final ControllerArea area = new ControllerArea(areaMapping.address());
  final long doorbells = Mem.allocate(PAGE);
  final Reports reports = new Reports();
  final NvmeTestDisk disk;
  final TestQueue[] queues;
  final int completionSize;
  final int completionId;
  final DmaMemory memory;
  final long guestLists = GUEST + LISTS_OFFSET;
  final long guestData = GUEST + HEAD_BYTES;
  private final long block;
  private final long blockBytes = 3L * GUARD_BYTES + HEAD_BYTES + 2L * DATA_BYTES + PAGE;
  private final long base;
  private final long completionHost;
  private final List<SubmissionQueue> submissions = new ArrayList<>();
  private int head;
  private int phase = 1;
  NvmeQueueSetup setup;
  NvmeQueueAgent agent;

  /** Takes what the queues tell. */
  static final class Reports implements QueueReports {
    final List<Long> adminNumbers = new ArrayList<>();
    final List<byte[]> adminEntries = new ArrayList<>();
    final List<CommandError> errors = new ArrayList<>();
    final List<Runnable> whenLogged = new ArrayList<>();
    final ArrayDeque<Runnable> tasks = new ArrayDeque<>();
    int doorbellFaults;

    @Override
    public void onAdminCommand(final long fetchNumber, final byte[] entry) {
      adminNumbers.add(fetchNumber);
      adminEntries.add(entry);
    }

    @Override
    public void onDoorbellFault(final DoorbellFault fault) {
      doorbellFaults++;
    }

    @Override
    public void onCommandFailed(final CommandError error, final Runnable logged) {
      errors.add(error);
      whenLogged.add(logged);
    }

    @Override
    public void execute(final Runnable task) {
      tasks.add(task);
    }

    void runTasks() {
      while (!tasks.isEmpty()) {
        tasks.poll().run();
      }
    }
  }

  NvmeRig(
      final NvmeTestDisk disk,
      final int firstQueueId,
      final int completionSize,
      final int... submissionSizes) {
    this.disk = disk;
    this.completionSize = completionSize;
    this.completionId = firstQueueId;
    area.format(1);
    block = Mem.allocate(blockBytes);
    Mem.fill(block, blockBytes, GUARD);
    base = (block + PAGE - 1 & -PAGE) + GUARD_BYTES;
    final long dataB = base + HEAD_BYTES + DATA_BYTES + GUARD_BYTES;
    Mem.fill(base, HEAD_BYTES + DATA_BYTES, (byte) 0);
    Mem.fill(dataB, DATA_BYTES, (byte) 0);
    final GuestMemory map =
        GuestMemory.of(
            List.of(
                new MemoryRegion(GUEST, GUEST, HEAD_BYTES + DATA_BYTES, base, -1, 0),
                new MemoryRegion(
                    guestData + DATA_BYTES, guestData + DATA_BYTES, DATA_BYTES, dataB, -1, 0)));
    memory = new DmaMemory(map, map);
    completionHost = base;
    queues = new TestQueue[submissionSizes.length];
    for (int i = 0; i < queues.length; i++) {
      final int offset = (1 + i) * QUEUE_BYTES;
      queues[i] =
          new TestQueue(
              firstQueueId + i, submissionSizes[i], GUEST + offset, base + offset, doorbells);
      submissions.add(
          new SubmissionQueue(
              firstQueueId + i, firstQueueId, submissionSizes[i], GUEST + offset, 10 + i));
    }
    setup = newSetup(true, 0, 0);
  }

  NvmeQueueSetup newSetup(final boolean mapped, final long shadow, final long eventIndex) {
    return new NvmeQueueSetup(
        new QueueContext(7, area, doorbells, mapped, 8, null, reports),
        new CompletionQueue(completionId, completionSize, GUEST, 1, 9),
        submissions,
        memory,
        -1,
        List.of(volume(1, disk)),
        shadow,
        eventIndex,
        true,
        0);
  }

  static NamespaceVolume volume(final int id, final NvmeTestDisk disk) {
    return new NamespaceVolume(
        new Namespace(
            id, disk.lengthBytes() / disk.blockBytes(), disk.blockBytes(), false, new UUID(1, id)),
        disk);
  }

  /** A started I/O queue pair with a disk of 1 MiB. */
  static NvmeRig started(final int size) {
    final NvmeRig rig = new NvmeRig(new NvmeTestDisk(1 << 20, BLOCK), 1, size, size);
    rig.startAgent();
    return rig;
  }

  int startAgent() {
    agent = new NvmeQueueAgent(setup, null, RING_SLOT);
    return agent.start(1);
  }

  /** Forgets the agent, as the death of its process does. */
  void dropAgent() {
    if (agent != null) {
      agent.free();
      agent = null;
    }
  }

  /** One duty cycle. */
  void cycle() {
    agent.poll(1, 32);
    agent.flush();
  }

  /** Submits one command on the first queue and sees it through; its status. */
  int run(final TestCommand command) {
    queues[0].add(command);
    queues[0].ring();
    Completion completion = null;
    for (int i = 0; i < 100 && completion == null; i++) {
      cycle();
      completion = poll();
    }
    if (completion == null || completion.commandId != command.dwords[0] >>> 16) {
      throw new AssertionError("no completion of the command: " + completion);
    }
    return completion.status;
  }

  /** Takes the next completion, or null; tells the controller at once. */
  Completion poll() {
    final Completion completion = peek();
    if (completion != null) {
      head++;
      if (head == completionSize) {
        head = 0;
        phase ^= 1;
      }
      ringHead(head);
    }
    return completion;
  }

  Completion peek() {
    final long entry = completionHost + head * 16L;
    final int last = Mem.getIntAcquire(entry + 12);
    if ((last >>> 16 & 1) != phase) {
      return null;
    }
    final int third = Mem.getInt(entry + 8);
    return new Completion(
        third >>> 16, last & 0xFFFF, last >>> 17, Mem.getInt(entry), third & 0xFFFF);
  }

  void ringHead(final int value) {
    Mem.putIntRelease(doorbells + completionId * 8L + 4, value);
  }

  int head() {
    return head;
  }

  List<Completion> pollAll() {
    final List<Completion> all = new ArrayList<>();
    for (Completion next = poll(); next != null; next = poll()) {
      all.add(next);
    }
    return all;
  }

  long hostOf(final long guestAddress) {
    final long host = memory.readable().translate(guestAddress, 1);
    if (host == 0) {
      throw new AssertionError("no guest memory: 0x" + Long.toHexString(guestAddress));
    }
    return host;
  }

  void put(final long guestAddress, final byte[] bytes) {
    for (int i = 0; i < bytes.length; i++) {
      Mem.putByte(hostOf(guestAddress + i), bytes[i]);
    }
  }

  byte[] get(final long guestAddress, final int length) {
    final byte[] bytes = new byte[length];
    for (int i = 0; i < length; i++) {
      bytes[i] = Mem.getByte(hostOf(guestAddress + i));
    }
    return bytes;
  }

  void putLong(final long guestAddress, final long value) {
    Mem.putLong(hostOf(guestAddress), value);
  }

  byte[] diskBytes(final long offset, final int length) {
    final byte[] bytes = new byte[length];
    Mem.copyOut(disk.data + offset, bytes, 0, length);
    return bytes;
  }

  static byte[] randomBytes(final Random random, final int length) {
    final byte[] bytes = new byte[length];
    random.nextBytes(bytes);
    return bytes;
  }

  long counter(final int queueId, final QueueCounter counter) {
    return Mem.getLong(area.countersAddress(queueId) + counter.offsetBytes());
  }

  /** Whether nobody wrote around the regions. */
  boolean guardsHold() {
    final long dataAEnd = base + HEAD_BYTES + DATA_BYTES;
    final long dataBEnd = dataAEnd + GUARD_BYTES + DATA_BYTES;
    return guardHolds(block, base)
        && guardHolds(dataAEnd, dataAEnd + GUARD_BYTES)
        && guardHolds(dataBEnd, block + blockBytes);
  }

  private static boolean guardHolds(final long from, final long to) {
    for (long address = from; address < to; address++) {
      if (Mem.getByte(address) != GUARD) {
        return false;
      }
    }
    return true;
  }

  @Override
  public void close() {
    dropAgent();
    disk.close();
    Mem.free(block);
    Mem.free(doorbells);
    areaMapping.close();
    Fds.close(areaFd);
  }
}

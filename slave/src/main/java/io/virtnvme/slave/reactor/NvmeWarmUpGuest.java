package io.virtnvme.slave.reactor;

import io.virtnvme.ipc.memory.Mem;
import io.virtnvme.ipc.nvme.CompletionEntry;
import io.virtnvme.ipc.nvme.Doorbells;
import io.virtnvme.ipc.nvme.DsmRange;
import io.virtnvme.ipc.nvme.IoCommand;
import io.virtnvme.ipc.nvme.NvmOpcode;
import io.virtnvme.ipc.nvme.PrpEntry;
import io.virtnvme.ipc.nvme.SglDescriptor;
import io.virtnvme.ipc.nvme.Status;
import io.virtnvme.ipc.nvme.SubmissionEntry;
import io.virtnvme.ipc.sys.EventFd;
import io.virtnvme.ipc.sys.Fds;
import io.virtnvme.ipc.sys.Mapping;
import io.virtnvme.ipc.sys.Memfd;
import io.virtnvme.slave.bdev.Bdev;
import io.virtnvme.slave.nvme.CommandError;
import io.virtnvme.slave.nvme.CompletionQueue;
import io.virtnvme.slave.nvme.ControllerArea;
import io.virtnvme.slave.nvme.ControllerAreaDescriptor;
import io.virtnvme.slave.nvme.DmaMemory;
import io.virtnvme.slave.nvme.DoorbellFault;
import io.virtnvme.slave.nvme.Namespace;
import io.virtnvme.slave.nvme.NamespaceVolume;
import io.virtnvme.slave.nvme.NvmeQueueSetup;
import io.virtnvme.slave.nvme.QueueContext;
import io.virtnvme.slave.nvme.QueueReports;
import io.virtnvme.slave.nvme.SubmissionQueue;
import io.virtnvme.slave.ring.RingSetup;
import io.virtnvme.slave.virtqueue.GuestMemory;
import io.virtnvme.slave.virtqueue.MemoryRegion;
import java.util.List;
import java.util.UUID;

/**
 * The guest of a {@link WarmUp} that has an NVMe controller: one queue pair in private memory, and
 * commands of every kind, small and large, with PRPs and SGLs. One thread.
 */
final class NvmeWarmUpGuest implements RehearsalGuest, QueueReports {
  private static final int ENTRIES = 128;
  private static final int QUEUE_ID = 1;
  private static final int NAMESPACE_ID = 1;
  private static final int CREATION = 1;
  private static final int NO_OPCODE = 0x7F;

  /** A sleep without a kick descriptor ends by its time only. */
  private static final int NAPS = 200;

  private static final int PAGE = PrpEntry.PAGE_BYTES;
  private static final long GUEST_BASE = 0x1000_0000L;
  private static final int LARGE_BYTES = 128 * 1024;

  // Where things lie in guest memory, in bytes.
  private static final int CQ_OFFSET = 2 * PAGE;
  private static final int LIST_OFFSET = 3 * PAGE;
  private static final int RANGE_OFFSET = 4 * PAGE;
  private static final int SHADOW_OFFSET = 5 * PAGE;
  private static final int INDEX_OFFSET = 6 * PAGE;
  private static final int DATA_OFFSET = 7 * PAGE;
  private static final int GUEST_BYTES = DATA_OFFSET + LARGE_BYTES;

  private static final int RARE_PERIOD = 64;
  private static final int BURST = WarmUpGuest.DEPTH;
  private static final int BURST_PERIOD = 32 * BURST;

  private final Bdev bdev;
  private final boolean shadows;
  private final boolean sgls;
  private final int areaFd = Memfd.create("warm-up", ControllerAreaDescriptor.LENGTH);
  private final Mapping area = Mapping.map(areaFd, 0, ControllerAreaDescriptor.LENGTH);
  private final long doorbells = Mem.allocate(PAGE);

  /** Its memory; for whoever wants to cut it short. */
  final int memoryFd = Memfd.create("guest", GUEST_BYTES);

  private final Mapping memoryMapping = Mapping.map(memoryFd, 0, GUEST_BYTES);
  private final long memory = memoryMapping.address();
  private final GuestMemory map =
      GuestMemory.of(
          List.of(new MemoryRegion(GUEST_BASE, GUEST_BASE, GUEST_BYTES, memory, memoryFd, 0)));
  private final int callFd = EventFd.create();
  private final boolean[] mustFail = new boolean[ENTRIES];
  private int tail;
  private int head;
  private int phase = 1;
  private int number;
  private int inFlightCount;

  /**
   * A guest of a disk of {@link WarmUp#DISK_BYTES}.
   *
   * @param variant selects features: 0 = PRPs, 1 = shadow doorbells, 2 = SGLs
   */
  NvmeWarmUpGuest(final Bdev bdev, final int variant) {
    this.bdev = bdev;
    this.shadows = variant == 1;
    this.sgls = variant == 2;
    new ControllerArea(area.address()).format(1);
    for (int i = 0; i < LARGE_BYTES / PAGE; i++) {
      Mem.putLong(
          memory + LIST_OFFSET + (long) i * PrpEntry.ENTRY_LENGTH,
          GUEST_BASE + DATA_OFFSET + (long) (i + 1) * PAGE);
    }
    Mem.putInt(memory + RANGE_OFFSET + DsmRange.BLOCKS_OFFSET, 1);
  }

  @Override
  public Bdev bdev() {
    return bdev;
  }

  @Override
  public int napCount() {
    return NAPS;
  }

  @Override
  public RingSetup setup(final Bdev disk) {
    final Namespace namespace =
        new Namespace(
            NAMESPACE_ID,
            WarmUp.DISK_BYTES / WarmUp.BLOCK_BYTES,
            WarmUp.BLOCK_BYTES,
            false,
            new UUID(0, 1));
    return new NvmeQueueSetup(
        new QueueContext(
            1, new ControllerArea(area.address()), doorbells, true, NAMESPACE_ID, null, this),
        new CompletionQueue(QUEUE_ID, ENTRIES, GUEST_BASE + CQ_OFFSET, 0, CREATION),
        List.of(new SubmissionQueue(QUEUE_ID, QUEUE_ID, ENTRIES, GUEST_BASE, CREATION)),
        new DmaMemory(map, map),
        callFd,
        List.of(new NamespaceVolume(namespace, disk)),
        shadows ? GUEST_BASE + SHADOW_OFFSET : 0,
        shadows ? GUEST_BASE + INDEX_OFFSET : 0,
        true,
        0);
  }

  @Override
  public int inFlightCount() {
    return inFlightCount;
  }

  @Override
  public void send(final int count) {
    for (int i = 0; i < count; i++) {
      submit();
    }
    Mem.putIntRelease(doorbell(Doorbells.sqTailOffset(QUEUE_ID)), tail);
  }

  private long doorbell(final int offset) {
    return (shadows ? memory + SHADOW_OFFSET : doorbells) + offset;
  }

  /** Its doorbells are looked at: nothing to do. */
  @Override
  public void kick() {}

  private void submit() {
    final int kind = number % RARE_PERIOD;
    final boolean large = number % BURST_PERIOD < BURST;
    mustFail[tail] = false;
    switch (kind) {
      case 1 -> put(NvmOpcode.FLUSH, 0, 0, 0);
      case 2 -> put(NvmOpcode.WRITE_ZEROES, 0, 0, 0);
      case 3 -> putRanges();
      case 4 -> put(NvmOpcode.VERIFY, 0, 0, 0);
      case 5 -> {
        mustFail[tail] = true;
        put(NvmOpcode.READ, Long.MAX_VALUE, 0, PAGE);
      }
      case 6 -> {
        mustFail[tail] = true;
        put(NO_OPCODE, 0, 0, 0);
      }
      default ->
          put(
              (number & 1) == 0 ? NvmOpcode.WRITE : NvmOpcode.READ,
              number % (WarmUp.DISK_BYTES / WarmUp.BLOCK_BYTES / 2),
              kind % 4 == 0 ? PAGE / 2 : 0,
              large ? LARGE_BYTES : PAGE);
    }
    tail = (tail + 1) % ENTRIES;
    number++;
    inFlightCount++;
  }

  private long entry() {
    return memory + (long) tail * SubmissionEntry.ENTRY_LENGTH;
  }

  private void put(final int opcode, final long block0, final int offset, final int bytes) {
    final long entry = entry();
    final int length = Math.min(bytes, LARGE_BYTES - offset) / PAGE * PAGE;
    Mem.fill(entry, SubmissionEntry.ENTRY_LENGTH, (byte) 0);
    Mem.putInt(
        entry + SubmissionEntry.DWORD0_OFFSET,
        SubmissionEntry.dword0(
            opcode, sgls ? SubmissionEntry.PSDT_SGL : SubmissionEntry.PSDT_PRP, tail));
    Mem.putInt(entry + SubmissionEntry.NAMESPACE_ID_OFFSET, NAMESPACE_ID);
    Mem.putLong(entry + IoCommand.START_BLOCK_OFFSET, block0);
    Mem.putInt(entry + IoCommand.BLOCKS_OFFSET, Math.max(1, length / WarmUp.BLOCK_BYTES) - 1);
    Mem.putLong(entry + SubmissionEntry.PRP1_OFFSET, GUEST_BASE + DATA_OFFSET + offset);
    if (sgls) {
      Mem.putLong(
          entry + SubmissionEntry.PRP2_OFFSET,
          SglDescriptor.word(Math.max(length, PAGE), SglDescriptor.TYPE_DATA_BLOCK));
    } else {
      Mem.putLong(
          entry + SubmissionEntry.PRP2_OFFSET,
          length + offset > 2 * PAGE ? GUEST_BASE + LIST_OFFSET : GUEST_BASE + DATA_OFFSET + PAGE);
    }
  }

  private void putRanges() {
    put(NvmOpcode.DATASET_MANAGEMENT, 0, 0, 0);
    final long entry = entry();
    Mem.putLong(entry + SubmissionEntry.PRP1_OFFSET, GUEST_BASE + RANGE_OFFSET);
    Mem.putInt(entry + SubmissionEntry.DWORD10_OFFSET, 0);
    Mem.putInt(entry + SubmissionEntry.DWORD11_OFFSET, IoCommand.DSM_DEALLOCATE);
  }

  @Override
  public int reap() {
    int count = 0;
    while (true) {
      final long entry = memory + CQ_OFFSET + (long) head * CompletionEntry.ENTRY_LENGTH;
      final int dword3 = Mem.getIntAcquire(entry + CompletionEntry.DWORD3_OFFSET);
      if (CompletionEntry.phase(dword3) != (phase == 1)) {
        break;
      }
      final int status = CompletionEntry.status(dword3);
      if ((status == Status.SUCCESS) == mustFail[CompletionEntry.commandId(dword3)]) {
        throw new IllegalStateException(
            "self-check failed: status=0x" + Integer.toHexString(status) + " " + this);
      }
      head++;
      if (head == ENTRIES) {
        head = 0;
        phase ^= 1;
      }
      count++;
    }
    if (count > 0) {
      Mem.putIntRelease(doorbell(Doorbells.cqHeadOffset(QUEUE_ID)), head);
      inFlightCount -= count;
    }
    return count;
  }

  @Override
  public void onAdminCommand(final long fetchNumber, final byte[] entry) {
    throw new IllegalStateException("self-check failed: admin command=" + fetchNumber);
  }

  @Override
  public void onDoorbellFault(final DoorbellFault fault) {
    throw new IllegalStateException("self-check failed: " + fault + " " + this);
  }

  @Override
  public void onCommandFailed(final CommandError error, final Runnable whenLogged) {
    whenLogged.run();
  }

  @Override
  public void execute(final Runnable task) {
    task.run();
  }

  @Override
  public String toString() {
    return "disk="
        + bdev.description()
        + " NVMe shadows="
        + shadows
        + " sgls="
        + sgls
        + " commands="
        + number
        + " inFlight="
        + inFlightCount;
  }

  @Override
  public void close() {
    Fds.close(callFd);
    area.close();
    Fds.close(areaFd);
    memoryMapping.close();
    Fds.close(memoryFd);
    Mem.free(doorbells);
  }
}

package io.virtnvme.slave.benchmark;

import io.virtnvme.ipc.memory.Mem;
import io.virtnvme.ipc.nvme.CompletionEntry;
import io.virtnvme.ipc.nvme.Doorbells;
import io.virtnvme.ipc.nvme.IoCommand;
import io.virtnvme.ipc.nvme.NvmOpcode;
import io.virtnvme.ipc.nvme.PrpEntry;
import io.virtnvme.ipc.nvme.Status;
import io.virtnvme.ipc.nvme.SubmissionEntry;
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

/** A guest with an NVMe controller, PRPs and mapped doorbells, that polls. */
final class NvmeGuest implements Guest, QueueReports {
  private static final int QUEUE_SIZE = DataPathBenchmark.QUEUE_SIZE;
  private static final int QUEUE_ID = 1;
  private static final int NAMESPACE_ID = 1;
  private static final int CREATION = 1;
  private static final int PAGE = PrpEntry.PAGE_BYTES;
  private static final long GUEST_BASE = 0x1000_0000L;

  // Where things lie in guest memory, in bytes.
  private static final int CQ_OFFSET = QUEUE_SIZE * SubmissionEntry.ENTRY_LENGTH;
  private static final int DATA_OFFSET = CQ_OFFSET + QUEUE_SIZE * CompletionEntry.ENTRY_LENGTH;
  private static final int GUEST_BYTES = DATA_OFFSET + QUEUE_SIZE * REQUEST_BYTES;

  private final SharedMemory area = new SharedMemory(ControllerAreaDescriptor.LENGTH);
  private final SharedMemory doorbells = new SharedMemory(PAGE);
  private final SharedMemory guest = new SharedMemory(GUEST_BYTES);
  private final GuestMemory map =
      GuestMemory.of(
          List.of(
              new MemoryRegion(
                  GUEST_BASE, GUEST_BASE, GUEST_BYTES, guest.address(), guest.fd(), 0)));
  private int tail;
  private int head;
  private boolean phase = true;

  NvmeGuest() {
    new ControllerArea(area.address()).format(1);
  }

  @Override
  public RingSetup setup(final Bdev bdev) {
    final Namespace namespace =
        new Namespace(
            NAMESPACE_ID,
            bdev.description().blockCount(),
            bdev.description().blockBytes(),
            false,
            new UUID(0, 1));
    return new NvmeQueueSetup(
        new QueueContext(
            1,
            new ControllerArea(area.address()),
            doorbells.address(),
            true,
            NAMESPACE_ID,
            null,
            this),
        new CompletionQueue(
            QUEUE_ID, QUEUE_SIZE, GUEST_BASE + CQ_OFFSET, CompletionQueue.NO_INTERRUPT, CREATION),
        List.of(new SubmissionQueue(QUEUE_ID, QUEUE_ID, QUEUE_SIZE, GUEST_BASE, CREATION)),
        new DmaMemory(map, map),
        -1,
        List.of(new NamespaceVolume(namespace, bdev)),
        0,
        0,
        true,
        0);
  }

  @Override
  public void add(final long block) {
    final long entry = guest.address() + (long) tail * SubmissionEntry.ENTRY_LENGTH;
    Mem.putInt(entry + SubmissionEntry.DWORD0_OFFSET, SubmissionEntry.dword0(NvmOpcode.READ, tail));
    Mem.putInt(entry + SubmissionEntry.NAMESPACE_ID_OFFSET, NAMESPACE_ID);
    Mem.putLong(entry + IoCommand.START_BLOCK_OFFSET, block);
    Mem.putInt(entry + IoCommand.BLOCKS_OFFSET, 0);
    Mem.putLong(
        entry + SubmissionEntry.PRP1_OFFSET,
        GUEST_BASE + DATA_OFFSET + (long) tail * REQUEST_BYTES);
    tail = tail + 1 & QUEUE_SIZE - 1;
  }

  @Override
  public void publish() {
    Mem.putIntRelease(doorbells.address() + Doorbells.sqTailOffset(QUEUE_ID), tail);
  }

  @Override
  public int reap() {
    int count = 0;
    while (true) {
      final long entry = guest.address() + CQ_OFFSET + (long) head * CompletionEntry.ENTRY_LENGTH;
      final int dword3 = Mem.getIntAcquire(entry + CompletionEntry.DWORD3_OFFSET);
      if (CompletionEntry.phase(dword3) != phase) {
        break;
      }
      if (CompletionEntry.status(dword3) != Status.SUCCESS) {
        throw new IllegalStateException(
            "command failed: status=0x" + Integer.toHexString(CompletionEntry.status(dword3)));
      }
      head = head + 1 & QUEUE_SIZE - 1;
      phase ^= head == 0;
      count++;
    }
    Mem.putIntRelease(doorbells.address() + Doorbells.cqHeadOffset(QUEUE_ID), head);
    return count;
  }

  @Override
  public void onAdminCommand(final long fetchNumber, final byte[] entry) {
    throw new IllegalStateException("admin command on an I/O queue: " + fetchNumber);
  }

  @Override
  public void onDoorbellFault(final DoorbellFault fault) {
    throw new IllegalStateException("doorbell: " + fault);
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
  public void close() {
    area.close();
    doorbells.close();
    guest.close();
  }
}

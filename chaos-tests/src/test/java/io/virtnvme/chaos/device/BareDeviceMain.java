package io.virtnvme.chaos.device;

import io.virtnvme.ipc.memory.Mem;
import io.virtnvme.ipc.nvme.CompletionEntry;
import io.virtnvme.ipc.nvme.IoCommand;
import io.virtnvme.ipc.nvme.NvmOpcode;
import io.virtnvme.ipc.nvme.SubmissionEntry;
import io.virtnvme.ipc.nvme.device.DeviceMemory;
import io.virtnvme.master.nvme.HostPaths;
import io.virtnvme.master.nvme.NvmeDevice;
import io.virtnvme.master.nvme.NvmeOptions;
import io.virtnvme.master.nvme.PciAddress;
import io.virtnvme.master.nvme.QueuePairAddress;
import java.util.concurrent.locks.LockSupport;

/**
 * Drives a real device without master and slave: attach, one queue pair, write a block and read it
 * back, the same after a reset, detach. Prints a line per step; runs in a guest.
 */
public final class BareDeviceMain {
  private static final int PAGE_BYTES = 4096;
  private static final int CQ_OFFSET = PAGE_BYTES;
  private static final int DATA_OFFSET = 2 * PAGE_BYTES;
  private static final int ENTRY_COUNT = 8;
  private static final int QUEUE_ID = 1;
  private static final int BLOCK = 7;
  private static final long TIMEOUT_NS = 10_000_000_000L;

  private final NvmeDevice device;
  private final DeviceMemory memory = DeviceMemory.create("queues", 3L * PAGE_BYTES);
  private final long iova;
  private int tail;
  private int head;

  private BareDeviceMain(final NvmeDevice device) {
    this.device = device;
    iova = device.takeIova(memory.lengthBytes(), PAGE_BYTES);
    device.dma().map(memory.address(), iova, memory.lengthBytes());
  }

  /** One argument: the PCI address. */
  public static void main(final String[] arguments) {
    final NvmeDevice device =
        NvmeDevice.attach(
            HostPaths.SYSTEM,
            PciAddress.parse(arguments[0]),
            NvmeOptions.DEFAULT,
            (before, now, reason) -> say("state " + now + " " + reason));
    say("identity " + device.identity());
    say("namespaces " + device.namespaces());
    final BareDeviceMain driver = new BareDeviceMain(device);
    driver.writeAndReadBack(0x5A);
    device.reset("asked for");
    driver.writeAndReadBack(0x33);
    device.deleteQueuePair(QUEUE_ID);
    say("health " + device.health());
    final RuntimeException failure = device.detach(true);
    say("detached " + failure);
  }

  private static void say(final String text) {
    System.out.println(text);
  }

  private void writeAndReadBack(final int value) {
    tail = 0;
    head = 0;
    Mem.fill(memory.address(), memory.lengthBytes(), (byte) 0);
    device.createQueuePair(new QueuePairAddress(QUEUE_ID, ENTRY_COUNT, iova, iova + CQ_OFFSET));
    final int blockBytes = device.namespaces().get(0).blockBytes();
    final long data = memory.address() + DATA_OFFSET;
    Mem.fill(data, blockBytes, (byte) value);
    run(NvmOpcode.WRITE);
    Mem.fill(data, blockBytes, (byte) 0);
    run(NvmOpcode.READ);
    for (int i = 0; i < blockBytes; i++) {
      if (Mem.getByte(data + i) != (byte) value) {
        throw new IllegalStateException("wrong byte at " + i);
      }
    }
    say("wrote and read 0x" + Integer.toHexString(value));
  }

  private void run(final int opcode) {
    final long entry = memory.address() + (long) tail * SubmissionEntry.ENTRY_LENGTH;
    Mem.putInt(entry, SubmissionEntry.dword0(opcode, tail));
    Mem.putInt(entry + SubmissionEntry.NAMESPACE_ID_OFFSET, 1);
    Mem.putLong(entry + SubmissionEntry.PRP1_OFFSET, iova + DATA_OFFSET);
    Mem.putLong(entry + IoCommand.START_BLOCK_OFFSET, BLOCK);
    tail++;
    device.ring(QUEUE_ID, tail, head);
    final long completion =
        memory.address() + CQ_OFFSET + (long) head * CompletionEntry.ENTRY_LENGTH;
    final long startNs = System.nanoTime();
    int dword3 = Mem.getIntAcquire(completion + CompletionEntry.DWORD3_OFFSET);
    while (!CompletionEntry.phase(dword3)) {
      if (System.nanoTime() - startNs > TIMEOUT_NS) {
        throw new IllegalStateException("no completion of opcode " + opcode);
      }
      LockSupport.parkNanos(100_000);
      dword3 = Mem.getIntAcquire(completion + CompletionEntry.DWORD3_OFFSET);
    }
    head++;
    if (CompletionEntry.status(dword3) != 0) {
      throw new IllegalStateException("status " + CompletionEntry.status(dword3));
    }
  }
}

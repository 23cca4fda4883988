package io.virtnvme.master.nvme;

import io.virtnvme.ipc.memory.Mem;
import io.virtnvme.ipc.nvme.CompletionEntry;
import io.virtnvme.ipc.nvme.NvmOpcode;
import io.virtnvme.ipc.nvme.PrpEntry;
import io.virtnvme.ipc.nvme.Status;
import io.virtnvme.ipc.nvme.SubmissionEntry;
import io.virtnvme.ipc.nvme.queue.DeviceQueueFault;
import io.virtnvme.ipc.nvme.queue.DeviceQueueGeometry;
import io.virtnvme.ipc.nvme.queue.DeviceQueueSegment;
import io.virtnvme.ipc.nvme.queue.DeviceQueueSegment.Counter;
import io.virtnvme.ipc.nvme.soft.SoftNvmeDevice;

/**
 * What a slave does with a queue pair, as far as its master sees it: reads of one block each, ended
 * ones counted, gate answered, everything in flight submitted again after a reset.
 */
final class SoftSlave {
  private final SoftNvmeDevice device;
  private final DeviceQueueSegment queue;
  private long joined;
  private long submitted;
  private long reaped;
  private int endedCount;
  private boolean isAlive = true;
  private boolean isHung;

  SoftSlave(final SoftNvmeDevice device, final DeviceQueueSegment queue) {
    this.device = device;
    this.queue = queue;
  }

  DeviceQueueSegment queue() {
    return queue;
  }

  boolean isAlive() {
    return isAlive;
  }

  /** It does nothing any more, and its seat is free. */
  void die() {
    isAlive = false;
  }

  /** It does nothing, and has its seat. */
  void hang(final boolean on) {
    isHung = on;
  }

  /** Requests that have ended, well or with a media error. */
  int endedCount() {
    return endedCount;
  }

  private long slot(final int slot) {
    return queue.address() + DeviceQueueSegment.slotOffset(slot);
  }

  private DeviceQueueGeometry geometry() {
    return queue.geometry();
  }

  void submit(final int slot) {
    final long entry =
        queue.address()
            + DeviceQueueSegment.sqOffset(geometry().slotCount())
            + submitted % geometry().entryCount() * SubmissionEntry.ENTRY_LENGTH;
    Mem.fill(entry, SubmissionEntry.ENTRY_LENGTH, (byte) 0);
    Mem.putInt(entry, SubmissionEntry.dword0(NvmOpcode.READ, slot));
    Mem.putInt(entry + SubmissionEntry.NAMESPACE_ID_OFFSET, geometry().namespaceId());
    Mem.putLong(
        entry + SubmissionEntry.PRP1_OFFSET,
        geometry().iova() + DeviceQueueSegment.listOffset(geometry(), slot) + PrpEntry.PAGE_BYTES);
    submitted++;
    Mem.putLong(slot(slot) + DeviceQueueSegment.PLACE_OFFSET, submitted);
    Mem.putIntRelease(
        device.sqTailAddress(geometry().queueId()), (int) (submitted % geometry().entryCount()));
  }

  /** A duty cycle. */
  void poll() {
    if (!isAlive || isHung) {
      return;
    }
    final long gate = Mem.getLongAcquire(queue.address() + DeviceQueueSegment.GATE_OFFSET);
    if (!DeviceQueueSegment.isOpen(gate)) {
      Mem.putLongRelease(queue.address() + DeviceQueueSegment.GATE_SEEN_OFFSET, gate);
      return;
    }
    if (queue.creation() != joined) {
      join();
    }
    while (queue.fault() == 0 && queue.isCompletionWaiting()) {
      reap();
    }
  }

  private void join() {
    joined = queue.creation();
    submitted = 0;
    reaped(0);
    for (int slot = 0; slot < geometry().slotCount(); slot++) {
      if (queue.place(slot) > 0) {
        submit(slot);
      }
    }
  }

  private void reaped(final long count) {
    reaped = count;
    Mem.putLongRelease(queue.address() + DeviceQueueSegment.REAPED_OFFSET, count);
  }

  private void reap() {
    final long entry =
        queue.address()
            + DeviceQueueSegment.cqOffset(geometry().entryCount(), geometry().slotCount())
            + reaped % geometry().entryCount() * CompletionEntry.ENTRY_LENGTH;
    final int dword3 = Mem.getIntAcquire(entry + CompletionEntry.DWORD3_OFFSET);
    final int slot = CompletionEntry.commandId(dword3);
    if (slot >= geometry().slotCount() || queue.place(slot) <= 0) {
      Mem.putIntRelease(
          queue.address() + DeviceQueueSegment.FAULT_OFFSET,
          DeviceQueueFault.UNKNOWN_COMMAND_ID.code());
      return;
    }
    Mem.putLong(slot(slot) + DeviceQueueSegment.PLACE_OFFSET, -(reaped + 1));
    reaped(reaped + 1);
    Mem.putIntRelease(
        device.cqHeadAddress(geometry().queueId()), (int) (reaped % geometry().entryCount()));
    final int status = CompletionEntry.status(dword3);
    final int mediaErrors = Status.type(Status.UNRECOVERED_READ_ERROR);
    if (status == Status.SUCCESS || Status.type(status) == mediaErrors) {
      count(status == Status.SUCCESS ? Counter.COMPLETIONS : Counter.MEDIA_ERRORS);
      endedCount++;
    } else {
      count(Counter.RETRIES);
      submit(slot);
    }
  }

  private void count(final Counter counter) {
    Mem.getAndAddLong(queue.address() + counter.offset(), 1);
  }
}

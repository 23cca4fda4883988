package io.virtnvme.slave.nvme;

import io.virtnvme.ipc.memory.Mem;
import io.virtnvme.ipc.nvme.PrpEntry;
import io.virtnvme.ipc.nvme.Status;
import io.virtnvme.ipc.nvme.SubmissionEntry;
import io.virtnvme.slave.nvme.NvmeCommandTask.State;

/**
 * The admin queue's commands on their way to the control thread and back. One reactor thread; not
 * the data path.
 */
final class AdminLine {
  private static final int ENTRIES = ControllerConfig.TRANSFER_BYTES_MAX / PrpEntry.PAGE_BYTES + 4;

  private final SubmissionRing ring;
  private final CompletionRing completion;
  private final QueueReports reports;
  private final IovecList iovecs = new IovecList();
  private final long block =
      Mem.allocate((long) ENTRIES * IovecList.ENTRY_LENGTH + PrpEntry.PAGE_BYTES);
  private final DataPointer pointer =
      new DataPointer(block + (long) ENTRIES * IovecList.ENTRY_LENGTH, PrpEntry.PAGE_BYTES);
  private boolean isOpen;

  AdminLine(
      final SubmissionRing ring, final CompletionRing completion, final QueueReports reports) {
    this.ring = ring;
    this.completion = completion;
    this.reports = reports;
  }

  /** A command was fetched. The control thread gets it now, or when it is ready for it. */
  void hand(final NvmeCommandTask task) {
    task.state = State.HANDED;
    if (isOpen) {
      report(task);
    }
  }

  /** The control thread takes commands from now on: those that wait first, in fetch order. */
  void open() {
    if (isOpen) {
      return;
    }
    isOpen = true;
    final int[] slots = new int[ring.taskCount()];
    final int count = ring.journal().inflightSlots(slots);
    for (int i = 0; i < count; i++) {
      if (ring.task(slots[i]).state == State.HANDED) {
        report(ring.task(slots[i]));
      }
    }
  }

  private void report(final NvmeCommandTask task) {
    final byte[] entry = new byte[SubmissionEntry.ENTRY_LENGTH];
    Mem.copyOut(ring.journal().commandAddress(task.slot), entry, 0, entry.length);
    reports.onAdminCommand(ring.journal().fetchNumber(task.slot), entry);
  }

  private NvmeCommandTask find(final long fetchNumber) {
    final NvmeCommandTask task = ring.find(fetchNumber);
    return task != null && task.state == State.HANDED ? task : null;
  }

  /**
   * Writes data to where a command wants it.
   *
   * @return {@link Status#SUCCESS}, also when the command is gone, or the status that it ends with
   */
  int transfer(final long fetchNumber, final byte[] data, final DmaMemory memory) {
    final NvmeCommandTask task = find(fetchNumber);
    if (task == null || data.length == 0) {
      return Status.SUCCESS;
    }
    iovecs.begin(block, ENTRIES);
    final int status =
        pointer.read(ring.journal().commandAddress(task.slot), memory, true, data.length, iovecs);
    if (status != Status.SUCCESS) {
      return (status == IovecList.FULL ? Status.INVALID_SGL_COUNT : status) | Status.DO_NOT_RETRY;
    }
    int copied = 0;
    for (int i = 0; i < iovecs.count(); i++) {
      final long iovec = block + (long) i * IovecList.ENTRY_LENGTH;
      final int bytes = (int) Mem.getLong(iovec + IovecList.LENGTH_OFFSET);
      Mem.copyIn(data, copied, Mem.getLong(iovec), bytes);
      copied += bytes;
    }
    return Status.SUCCESS;
  }

  /**
   * Ends a command; {@code whenPosted} runs when its completion is posted, or at once without it.
   */
  void complete(
      final long fetchNumber, final int status, final int result, final Runnable whenPosted) {
    final NvmeCommandTask task = find(fetchNumber);
    if (task == null) {
      reports.execute(whenPosted);
      return;
    }
    task.status = status;
    task.result = result;
    task.whenPosted = whenPosted;
    task.state = State.DONE;
    completion.addDone(task);
  }

  void free() {
    Mem.free(block);
  }
}

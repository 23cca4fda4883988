package io.virtnvme.master.nvme;

import io.virtnvme.ipc.memory.Mem;
import io.virtnvme.ipc.nvme.CompletionEntry;
import io.virtnvme.ipc.nvme.ControllerRegisters;
import io.virtnvme.ipc.nvme.Doorbells;
import io.virtnvme.ipc.nvme.PrpEntry;
import io.virtnvme.ipc.nvme.Status;
import io.virtnvme.ipc.nvme.SubmissionEntry;
import io.virtnvme.ipc.sys.Errno;
import java.util.ArrayList;
import java.util.List;

/**
 * The admin queue pair with one page for data: one command at a time, polled, and the Abort of one
 * that has no answer. What the controller writes is read once and believed only when it fits. One
 * thread.
 *
 * <pre>
 *  0      submission queue (1 page)
 *  4096   completion queue (1 page)
 *  8192   data (1 page)
 * </pre>
 */
final class AdminQueue {
  static final int MEMORY_LENGTH = 3 * PrpEntry.PAGE_BYTES;

  private static final int CQ_OFFSET = PrpEntry.PAGE_BYTES;
  private static final int DATA_OFFSET = 2 * PrpEntry.PAGE_BYTES;
  private static final int ENTRY_COUNT = 32;
  private static final int ADMIN_QUEUE_ID = 0;
  private static final int COMMAND_ID_MAX = 0x7FFF;

  /** A command that the controller has, or has ended. */
  private static final class Pending {
    private final int id;

    /** Which one it is of those that were sent together, from 1. */
    private final int order;

    private boolean isEnded;
    private int status;
    private int result;

    Pending(final int id, final int order) {
      this.id = id;
      this.order = order;
    }
  }

  private final RegisterAccess access;
  private final long memory;
  private final long iova;
  private final int strideBytes;
  private int tail;
  private int head;
  private boolean phase = true;
  private int commandId;

  /** The tail before the first of {@link #pending}. */
  private int base;

  private final List<Pending> pending = new ArrayList<>();

  /**
   * A queue pair that is new to the controller; clears its memory. The controller is disabled.
   *
   * @param memory {@link #MEMORY_LENGTH} bytes here
   * @param iova where the controller sees them
   * @param strideBytes between two doorbells
   */
  AdminQueue(
      final RegisterAccess access, final long memory, final long iova, final int strideBytes) {
    this.access = access;
    this.memory = memory;
    this.iova = iova;
    this.strideBytes = strideBytes;
    Mem.fill(memory, MEMORY_LENGTH, (byte) 0);
  }

  /** Tells the controller where the queues are; before it is enabled. */
  void announce() {
    final int zeroBased = ENTRY_COUNT - 1;
    access
        .raw()
        .putInt(
            ControllerRegisters.AQA_OFFSET,
            (zeroBased << ControllerRegisters.AQA_ACQS_SHIFT) | zeroBased);
    access.raw().putLong(ControllerRegisters.ASQ_OFFSET, iova);
    access.raw().putLong(ControllerRegisters.ACQ_OFFSET, iova + CQ_OFFSET);
  }

  /** Where the controller sees the page for data. */
  long dataIova() {
    return iova + DATA_OFFSET;
  }

  /** A copy of the page for data. */
  byte[] data() {
    final byte[] copy = new byte[PrpEntry.PAGE_BYTES];
    Mem.copyOut(memory + DATA_OFFSET, copy, 0, copy.length);
    return copy;
  }

  /**
   * Carries out a command. One that has no answer in time is aborted; that may take as long again.
   *
   * @return dword 0 of its completion
   * @throws NvmeDeviceException with the status when the controller refuses it, or has aborted it;
   *     ETIMEDOUT, EIO or ENODEV when the controller is broken, and then this queue must not be
   *     used again
   */
  int execute(final AdminCommand command, final long timeoutNs) {
    // A command that answers less than it should must not show what an earlier one left.
    Mem.fill(memory + DATA_OFFSET, PrpEntry.PAGE_BYTES, (byte) 0);
    base = tail;
    pending.clear();
    final Pending wanted = submit(command);
    if (!awaitAll(timeoutNs)) {
      submit(AdminCommand.abort(ADMIN_QUEUE_ID, wanted.id));
      if (!awaitAll(timeoutNs)) {
        throw access.late(
            Trouble.ADMIN,
            command.name()
                + (wanted.isEnded ? " was late, and its Abort has no answer" : " has no answer"),
            wanted.isEnded ? timeoutNs : 2 * timeoutNs);
      }
    }
    if (Status.typeAndCode(wanted.status) != Status.SUCCESS) {
      throw new NvmeDeviceException(
          Errno.EIO,
          command.name()
              + (pending.size() > 1 ? " had no answer and was aborted" : " failed")
              + ": status type="
              + Status.type(wanted.status)
              + " code=0x"
              + Integer.toHexString(Status.code(wanted.status)),
          wanted.status);
    }
    return wanted.result;
  }

  private Pending submit(final AdminCommand command) {
    commandId = (commandId + 1) & COMMAND_ID_MAX;
    final long entry = memory + (long) tail * SubmissionEntry.ENTRY_LENGTH;
    Mem.fill(entry, SubmissionEntry.ENTRY_LENGTH, (byte) 0);
    Mem.putInt(
        entry + SubmissionEntry.DWORD0_OFFSET, SubmissionEntry.dword0(command.opcode(), commandId));
    Mem.putInt(entry + SubmissionEntry.NAMESPACE_ID_OFFSET, command.namespaceId());
    Mem.putLong(entry + SubmissionEntry.PRP1_OFFSET, command.prp1());
    Mem.putInt(entry + SubmissionEntry.DWORD10_OFFSET, command.dword10());
    Mem.putInt(entry + SubmissionEntry.DWORD11_OFFSET, command.dword11());
    Mem.putInt(entry + SubmissionEntry.DWORD12_OFFSET, command.dword12());
    Mem.putInt(entry + SubmissionEntry.DWORD13_OFFSET, command.dword13());
    tail = tail + 1 == ENTRY_COUNT ? 0 : tail + 1;
    final Pending sent = new Pending(commandId, pending.size() + 1);
    pending.add(sent);
    access.raw().putInt(Doorbells.BASE_OFFSET, tail);
    return sent;
  }

  /** Whether all that is pending ended before the time was up. */
  private boolean awaitAll(final long timeoutNs) {
    final long startNs = access.nanoTime();
    while (pending.stream().anyMatch(sent -> !sent.isEnded)) {
      if (!reap()) {
        access.healthyStatus();
        if (access.nanoTime() - startNs > timeoutNs) {
          return false;
        }
        access.pause();
      }
    }
    return true;
  }

  /** Takes a completion when there is one. */
  private boolean reap() {
    final long entry = memory + CQ_OFFSET + (long) head * CompletionEntry.ENTRY_LENGTH;
    final int dword3 = Mem.getIntAcquire(entry + CompletionEntry.DWORD3_OFFSET);
    if (CompletionEntry.phase(dword3) != phase) {
      return false;
    }
    final int dword2 = Mem.getInt(entry + CompletionEntry.DWORD2_OFFSET);
    final Pending ended = endedBy(dword2, dword3);
    ended.isEnded = true;
    ended.status = CompletionEntry.status(dword3);
    ended.result = Mem.getInt(entry + CompletionEntry.RESULT_OFFSET);
    head++;
    if (head == ENTRY_COUNT) {
      head = 0;
      phase = !phase;
    }
    access.raw().putInt(Doorbells.BASE_OFFSET + strideBytes, head);
    return true;
  }

  private Pending endedBy(final int dword2, final int dword3) {
    final int fetched = Math.floorMod(CompletionEntry.sqHead(dword2) - base, ENTRY_COUNT);
    for (final Pending sent : pending) {
      if (sent.id == CompletionEntry.commandId(dword3)
          && !sent.isEnded
          && CompletionEntry.sqId(dword2) == ADMIN_QUEUE_ID
          && CompletionEntry.sqHead(dword2) < ENTRY_COUNT
          && fetched >= sent.order
          && fetched <= pending.size()) {
        return sent;
      }
    }
    throw new NvmeDeviceException(
        Errno.EIO,
        "the controller completed what was not sent: command id="
            + CompletionEntry.commandId(dword3)
            + " expected="
            + commandId
            + " SQ id="
            + CompletionEntry.sqId(dword2)
            + " SQ head="
            + CompletionEntry.sqHead(dword2)
            + " expected="
            + tail);
  }
}

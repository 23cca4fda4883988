package io.virtnvme.slave.nvme;

import io.virtnvme.ipc.memory.Mem;
import io.virtnvme.ipc.nvme.Status;
import io.virtnvme.ipc.nvme.SubmissionEntry;
import io.virtnvme.slave.virtqueue.GuestMemory;

/**
 * Turns the data pointer of a command, PRPs or an SGL, into host iovecs. The command is a copy that
 * the guest cannot change. One reactor thread; no allocation.
 */
final class DataPointer {
  private final SglReader sgl;

  /**
   * Makes a reader.
   *
   * @param trash host address of a buffer for what the guest does not want
   * @param trashBytes its length
   */
  DataPointer(final long trash, final int trashBytes) {
    this.sgl = new SglReader(trash, trashBytes);
  }

  /**
   * Adds the pieces of a command's data to a list.
   *
   * @param command address of the command
   * @param isToGuest whether the data goes to the guest
   * @param lengthBytes at least 1
   * @return {@link Status#SUCCESS}, or the status that the command ends with, or {@link
   *     IovecList#FULL}
   */
  int read(
      final long command,
      final DmaMemory memory,
      final boolean isToGuest,
      final long lengthBytes,
      final IovecList out) {
    final long first = Mem.getLong(command + SubmissionEntry.PRP1_OFFSET);
    final long second = Mem.getLong(command + SubmissionEntry.PRP2_OFFSET);
    return switch (SubmissionEntry.psdt(Mem.getInt(command + SubmissionEntry.DWORD0_OFFSET))) {
      case SubmissionEntry.PSDT_PRP ->
          PrpReader.read(
              memory.readable(), data(memory, isToGuest), first, second, lengthBytes, out);
      // Without metadata both kinds mean the same.
      case SubmissionEntry.PSDT_SGL, SubmissionEntry.PSDT_SGL_METADATA_SGL ->
          sgl.read(
              memory.readable(),
              data(memory, isToGuest),
              isToGuest,
              first,
              second,
              lengthBytes,
              out);
      default -> Status.INVALID_FIELD;
    };
  }

  private static GuestMemory data(final DmaMemory memory, final boolean isToGuest) {
    return isToGuest ? memory.writable() : memory.readable();
  }
}

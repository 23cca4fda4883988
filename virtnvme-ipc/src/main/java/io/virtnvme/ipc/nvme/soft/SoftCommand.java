package io.virtnvme.ipc.nvme.soft;

import io.virtnvme.ipc.memory.Mem;
import io.virtnvme.ipc.nvme.SubmissionEntry;

/**
 * A command that the device has read from a submission queue; dwords as the specification counts
 * them.
 */
public record SoftCommand(
    int sqId,
    int dword0,
    int namespaceId,
    long prp1,
    long prp2,
    int dword10,
    int dword11,
    int dword12) {
  static SoftCommand read(final int sqId, final long entry) {
    return new SoftCommand(
        sqId,
        Mem.getInt(entry + SubmissionEntry.DWORD0_OFFSET),
        Mem.getInt(entry + SubmissionEntry.NAMESPACE_ID_OFFSET),
        Mem.getLong(entry + SubmissionEntry.PRP1_OFFSET),
        Mem.getLong(entry + SubmissionEntry.PRP2_OFFSET),
        Mem.getInt(entry + SubmissionEntry.DWORD10_OFFSET),
        Mem.getInt(entry + SubmissionEntry.DWORD11_OFFSET),
        Mem.getInt(entry + SubmissionEntry.DWORD12_OFFSET));
  }

  public int opcode() {
    return SubmissionEntry.opcode(dword0);
  }

  public int commandId() {
    return SubmissionEntry.commandId(dword0);
  }

  /** First block of an I/O command. */
  public long firstBlock() {
    return (dword10 & 0xFFFF_FFFFL) | ((long) dword11 << Integer.SIZE);
  }
}

package io.virtnvme.slave.nvme;

import io.virtnvme.ipc.memory.LittleEndian;
import io.virtnvme.ipc.nvme.SubmissionEntry;

/** The fields of an admin command, read from the journal's copy of its entry. */
final class AdminCommand {
  private static final int BIT_SHIFT = 8;

  private final byte[] entry;
  private final int dword0;

  AdminCommand(final byte[] entry) {
    if (entry.length != SubmissionEntry.ENTRY_LENGTH) {
      throw new IllegalArgumentException("not a submission queue entry: bytes=" + entry.length);
    }
    this.entry = entry;
    this.dword0 = LittleEndian.getInt(entry, SubmissionEntry.DWORD0_OFFSET);
  }

  int opcode() {
    return SubmissionEntry.opcode(dword0);
  }

  int fused() {
    return SubmissionEntry.fused(dword0);
  }

  int psdt() {
    return SubmissionEntry.psdt(dword0);
  }

  int commandId() {
    return SubmissionEntry.commandId(dword0);
  }

  int namespaceId() {
    return LittleEndian.getInt(entry, SubmissionEntry.NAMESPACE_ID_OFFSET);
  }

  /** Whether the namespace id names no namespace in particular. */
  boolean isForController() {
    final int id = namespaceId();
    return id == 0 || id == SubmissionEntry.NAMESPACE_ALL;
  }

  long prp1() {
    return LittleEndian.getLong(entry, SubmissionEntry.PRP1_OFFSET);
  }

  long prp2() {
    return LittleEndian.getLong(entry, SubmissionEntry.PRP2_OFFSET);
  }

  int dword10() {
    return LittleEndian.getInt(entry, SubmissionEntry.DWORD10_OFFSET);
  }

  int dword11() {
    return LittleEndian.getInt(entry, SubmissionEntry.DWORD11_OFFSET);
  }

  int dword12() {
    return LittleEndian.getInt(entry, SubmissionEntry.DWORD12_OFFSET);
  }

  int dword13() {
    return LittleEndian.getInt(entry, SubmissionEntry.DWORD13_OFFSET);
  }

  int dword14() {
    return LittleEndian.getInt(entry, SubmissionEntry.DWORD14_OFFSET);
  }

  /** Where a field is, for the error log: the byte that holds its lowest bit, and that bit. */
  static int location(final int dwordOffset, final int bit) {
    return (dwordOffset + bit / Byte.SIZE) | ((bit % Byte.SIZE) << BIT_SHIFT);
  }
}

package io.virtnvme.ipc.nvme;

/**
 * Fields of the NVM command set's commands in {@link SubmissionEntry} (NVM command set
 * specification 1.0, 3.2): Read, Write, Compare, Write Zeroes and Verify share them.
 */
public final class IoCommand {
  /** First logical block, 64 bits. */
  public static final int START_BLOCK_OFFSET = SubmissionEntry.DWORD10_OFFSET;

  /** Where the number of blocks and the flags are. */
  public static final int BLOCKS_OFFSET = SubmissionEntry.DWORD12_OFFSET;

  /** Dword 12: number of blocks, 0's based. */
  public static final int BLOCKS_MASK = 0xFFFF;

  /** Dword 12, Write Zeroes: the blocks may be deallocated. */
  public static final int DEALLOCATE = 1 << 25;

  /** Dword 12: protection information action and checks; nothing to do without metadata. */
  public static final int PROTECTION_MASK = 0xF << 26;

  /** Dword 12: on the medium before the completion. */
  public static final int FORCE_UNIT_ACCESS = 1 << 30;

  public static final int LIMITED_RETRY = 1 << 31;

  /** Dataset Management, dword 10: number of ranges, 0's based. */
  public static final int DSM_RANGES_MASK = 0xFF;

  /** Dataset Management, dword 11: deallocate. */
  public static final int DSM_DEALLOCATE = 1 << 2;

  private IoCommand() {}

  /** Blocks that dword 12 names: 1..65536. */
  public static int blockCount(final int dword12) {
    return (dword12 & BLOCKS_MASK) + 1;
  }
}

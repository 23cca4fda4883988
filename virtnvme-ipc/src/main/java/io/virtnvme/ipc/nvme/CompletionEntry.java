package io.virtnvme.ipc.nvme;

import io.virtnvme.ipc.memory.LayoutText;

/**
 * Completion queue entry, little endian (NVM Express base specification 2.0, 3.3.3.2). The
 * controller writes it, the driver reads it: whoever sees the phase tag change must see the rest,
 * so the word with the tag is stored last, with release.
 *
 * <pre>
 *  0                   1                   2                   3
 *  0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
 *  +---------------------------------------------------------------+  0
 *  |               Command specific, low half                      |
 *  +---------------------------------------------------------------+  4
 *  |               Command specific, high half                     |
 *  +-------------------------------+-------------------------------+  8
 *  |           SQ head             |            SQ id              |
 *  +-------------------------------+-+-----------------------------+ 12
 *  |          Command id           |P|           Status            |   P = phase tag
 *  +-------------------------------+-+-----------------------------+ 16
 * </pre>
 */
public final class CompletionEntry {
  public static final int RESULT_OFFSET = 0;
  public static final int RESULT_HIGH_OFFSET = RESULT_OFFSET + Integer.BYTES;
  public static final int SQ_HEAD_OFFSET = RESULT_HIGH_OFFSET + Integer.BYTES;
  public static final int SQ_ID_OFFSET = SQ_HEAD_OFFSET + Short.BYTES;
  public static final int COMMAND_ID_OFFSET = SQ_ID_OFFSET + Short.BYTES;
  public static final int STATUS_OFFSET = COMMAND_ID_OFFSET + Short.BYTES;
  public static final int ENTRY_LENGTH = STATUS_OFFSET + Short.BYTES;

  /** {@link #ENTRY_LENGTH} as CC.IOCQES and the identify data name it: a power of two. */
  public static final int ENTRY_SHIFT = 4;

  /** Where the dword of SQ head and SQ id begins. */
  public static final int DWORD2_OFFSET = SQ_HEAD_OFFSET;

  /** Where the dword of command id, phase tag and status begins: the one that publishes. */
  public static final int DWORD3_OFFSET = COMMAND_ID_OFFSET;

  private static final int SQ_ID_SHIFT = 16;
  private static final int PHASE_SHIFT = 16;
  private static final int STATUS_SHIFT = 17;

  private CompletionEntry() {}

  public static int dword2(final int sqHead, final int sqId) {
    return (sqHead & 0xFFFF) | (sqId << SQ_ID_SHIFT);
  }

  /** The word that publishes an entry; {@code status} as {@link Status} has it. */
  public static int dword3(final int commandId, final int status, final boolean phase) {
    return (commandId & 0xFFFF) | (phase ? 1 << PHASE_SHIFT : 0) | (status << STATUS_SHIFT);
  }

  public static int sqHead(final int dword2) {
    return dword2 & 0xFFFF;
  }

  public static int sqId(final int dword2) {
    return dword2 >>> SQ_ID_SHIFT;
  }

  public static int commandId(final int dword3) {
    return dword3 & 0xFFFF;
  }

  public static boolean phase(final int dword3) {
    return ((dword3 >>> PHASE_SHIFT) & 1) != 0;
  }

  /** The status field without the phase tag: 15 bits, see {@link Status}. */
  public static int status(final int dword3) {
    return dword3 >>> STATUS_SHIFT;
  }

  /** Offset, length and name of each field, as the golden test wants them. */
  public static String describe() {
    return LayoutText.of("completion queue entry", ENTRY_LENGTH)
        .field("dw0", RESULT_OFFSET, Integer.BYTES)
        .field("dw1", RESULT_HIGH_OFFSET, Integer.BYTES)
        .field("sqhd", SQ_HEAD_OFFSET, Short.BYTES)
        .field("sqid", SQ_ID_OFFSET, Short.BYTES)
        .field("cid", COMMAND_ID_OFFSET, Short.BYTES)
        .field("status", STATUS_OFFSET, Short.BYTES)
        .text();
  }
}

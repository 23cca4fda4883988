package io.virtnvme.ipc.nvme;

import io.virtnvme.ipc.memory.LayoutText;

/**
 * Submission queue entry, little endian (NVM Express base specification 2.0, 3.3.3.1). The driver
 * writes it, the controller reads it: once, from a copy of its own.
 *
 * <pre>
 *  0                   1                   2                   3
 *  0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
 *  +---------------+---+-------+---+-------------------------------+  0
 *  |    Opcode     | F |  Res. | P |          Command id           |   F = fused operation
 *  +---------------+---+-------+---+-------------------------------+  4   P = PRP or SGL
 *  |                        Namespace id                           |
 *  +---------------------------------------------------------------+  8
 *  |                     Command dwords 2, 3                       |
 *  |                                                               |
 *  +---------------------------------------------------------------+ 16
 *  |                      Metadata pointer                         |
 *  |                                                               |
 *  +---------------------------------------------------------------+ 24
 *  |          Data pointer: PRP entry 1, PRP entry 2;              |
 *  |          or one SGL descriptor (16 bytes)                     |
 *  |                                                               |
 *  |                                                               |
 *  +---------------------------------------------------------------+ 40
 *  |                   Command dwords 10 .. 15                    ...
 *  +---------------------------------------------------------------+ 64
 * </pre>
 */
public final class SubmissionEntry {
  public static final int OPCODE_OFFSET = 0;
  public static final int FLAGS_OFFSET = OPCODE_OFFSET + Byte.BYTES;
  public static final int COMMAND_ID_OFFSET = FLAGS_OFFSET + Byte.BYTES;
  public static final int NAMESPACE_ID_OFFSET = COMMAND_ID_OFFSET + Short.BYTES;
  public static final int DWORD2_OFFSET = NAMESPACE_ID_OFFSET + Integer.BYTES;
  public static final int DWORD3_OFFSET = DWORD2_OFFSET + Integer.BYTES;
  public static final int METADATA_OFFSET = DWORD3_OFFSET + Integer.BYTES;
  public static final int PRP1_OFFSET = METADATA_OFFSET + Long.BYTES;
  public static final int PRP2_OFFSET = PRP1_OFFSET + Long.BYTES;
  public static final int DWORD10_OFFSET = PRP2_OFFSET + Long.BYTES;
  public static final int DWORD11_OFFSET = DWORD10_OFFSET + Integer.BYTES;
  public static final int DWORD12_OFFSET = DWORD11_OFFSET + Integer.BYTES;
  public static final int DWORD13_OFFSET = DWORD12_OFFSET + Integer.BYTES;
  public static final int DWORD14_OFFSET = DWORD13_OFFSET + Integer.BYTES;
  public static final int DWORD15_OFFSET = DWORD14_OFFSET + Integer.BYTES;
  public static final int ENTRY_LENGTH = DWORD15_OFFSET + Integer.BYTES;

  /** {@link #ENTRY_LENGTH} as CC.IOSQES and the identify data name it: a power of two. */
  public static final int ENTRY_SHIFT = 6;

  /** Where dword 0 is: opcode, flags and command id in one word. */
  public static final int DWORD0_OFFSET = OPCODE_OFFSET;

  /** Where the only SGL descriptor of a command is. */
  public static final int SGL_OFFSET = PRP1_OFFSET;

  /** {@link #psdt}: PRPs. */
  public static final int PSDT_PRP = 0;

  /** {@link #psdt}: an SGL, and metadata (when there is any) is one contiguous buffer. */
  public static final int PSDT_SGL = 1;

  /** {@link #psdt}: an SGL, and metadata (when there is any) has one too. */
  public static final int PSDT_SGL_METADATA_SGL = 2;

  /** The namespace id that means all of them. */
  public static final int NAMESPACE_ALL = 0xFFFF_FFFF;

  private static final int FLAGS_SHIFT = FLAGS_OFFSET * Byte.SIZE;
  private static final int COMMAND_ID_SHIFT = COMMAND_ID_OFFSET * Byte.SIZE;
  private static final int FUSED_MASK = 3;
  private static final int PSDT_SHIFT = 6;

  private SubmissionEntry() {}

  public static int opcode(final int dword0) {
    return dword0 & 0xFF;
  }

  /** 0 for a command that stands alone. */
  public static int fused(final int dword0) {
    return (dword0 >>> FLAGS_SHIFT) & FUSED_MASK;
  }

  /** PRP or SGL for data transfer: 0..3, 3 is reserved. */
  public static int psdt(final int dword0) {
    return (dword0 >>> (FLAGS_SHIFT + PSDT_SHIFT)) & 3;
  }

  public static int commandId(final int dword0) {
    return dword0 >>> COMMAND_ID_SHIFT;
  }

  /** Dword 0 with PRPs, for a driver. */
  public static int dword0(final int opcode, final int commandId) {
    return (opcode & 0xFF) | (commandId << COMMAND_ID_SHIFT);
  }

  /** Dword 0, for a driver; {@code psdt} is one of the PSDT constants. */
  public static int dword0(final int opcode, final int psdt, final int commandId) {
    return dword0(opcode, commandId) | (psdt << (FLAGS_SHIFT + PSDT_SHIFT));
  }

  /** Offset, length and name of each field, as the golden test wants them. */
  public static String describe() {
    return LayoutText.of("submission queue entry", ENTRY_LENGTH)
        .field("opcode", OPCODE_OFFSET, Byte.BYTES)
        .field("flags", FLAGS_OFFSET, Byte.BYTES)
        .field("cid", COMMAND_ID_OFFSET, Short.BYTES)
        .field("nsid", NAMESPACE_ID_OFFSET, Integer.BYTES)
        .field("cdw2", DWORD2_OFFSET, Integer.BYTES)
        .field("cdw3", DWORD3_OFFSET, Integer.BYTES)
        .field("mptr", METADATA_OFFSET, Long.BYTES)
        .field("prp1", PRP1_OFFSET, Long.BYTES)
        .field("prp2", PRP2_OFFSET, Long.BYTES)
        .field("cdw10", DWORD10_OFFSET, Integer.BYTES)
        .field("cdw11", DWORD11_OFFSET, Integer.BYTES)
        .field("cdw12", DWORD12_OFFSET, Integer.BYTES)
        .field("cdw13", DWORD13_OFFSET, Integer.BYTES)
        .field("cdw14", DWORD14_OFFSET, Integer.BYTES)
        .field("cdw15", DWORD15_OFFSET, Integer.BYTES)
        .text();
  }
}

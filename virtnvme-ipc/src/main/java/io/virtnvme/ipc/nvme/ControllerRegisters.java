package io.virtnvme.ipc.nvme;

import io.virtnvme.ipc.memory.LayoutText;

/**
 * Controller registers in BAR0 of a controller over PCIe, and their bits (NVM Express base
 * specification 2.0, 3.1.3). Little endian.
 *
 * <pre>
 *  0x00  +---------------------------------------------------------------+
 *        |                CAP: controller capabilities (8)               |
 *  0x08  +-------------------------------+-------------------------------+
 *        |          VS: version          |  INTMS: interrupt mask set    |
 *  0x10  +-------------------------------+-------------------------------+
 *        |  INTMC: interrupt mask clear  |  CC: configuration            |
 *  0x18  +-------------------------------+-------------------------------+
 *        |          reserved             |  CSTS: status                 |
 *  0x20  +-------------------------------+-------------------------------+
 *        |  NSSR: subsystem reset        |  AQA: admin queue attributes  |
 *  0x28  +-------------------------------+-------------------------------+
 *        |                ASQ: admin submission queue (8)                |
 *  0x30  +---------------------------------------------------------------+
 *        |                ACQ: admin completion queue (8)                |
 *  0x38  +---------------------------------------------------------------+
 *        |     optional registers, reserved                             ...
 *  0x68  +-------------------------------+-------------------------------+
 *        |  CRTO: ready timeouts         |                               |
 *        +-------------------------------+-------------------------------+
 *        |     optional registers, reserved                             ...
 *  0x1000+---------------------------------------------------------------+
 *        |     doorbells: see Doorbells                                 ...
 * </pre>
 */
public final class ControllerRegisters {
  public static final int CAP_OFFSET = 0;
  public static final int VS_OFFSET = CAP_OFFSET + Long.BYTES;
  public static final int INTMS_OFFSET = VS_OFFSET + Integer.BYTES;
  public static final int INTMC_OFFSET = INTMS_OFFSET + Integer.BYTES;
  public static final int CC_OFFSET = INTMC_OFFSET + Integer.BYTES;
  public static final int RESERVED_OFFSET = CC_OFFSET + Integer.BYTES;
  public static final int CSTS_OFFSET = RESERVED_OFFSET + Integer.BYTES;
  public static final int NSSR_OFFSET = CSTS_OFFSET + Integer.BYTES;
  public static final int AQA_OFFSET = NSSR_OFFSET + Integer.BYTES;
  public static final int ASQ_OFFSET = AQA_OFFSET + Integer.BYTES;
  public static final int ACQ_OFFSET = ASQ_OFFSET + Long.BYTES;
  public static final int CRTO_OFFSET = 0x68;
  public static final int LENGTH = CRTO_OFFSET + Integer.BYTES;

  // CAP.
  /** Entries of an I/O queue at most, 0's based. */
  public static final long CAP_MQES_MASK = 0xFFFF;

  /** Queues must be physically contiguous. */
  public static final long CAP_CQR = 1L << 16;

  /** How long CSTS.RDY may take to follow CC.EN, in units of 500 ms. */
  public static final int CAP_TO_SHIFT = 24;

  /** Doorbell stride: 4 bytes shifted by it. */
  public static final int CAP_DSTRD_SHIFT = 32;

  public static final int CAP_DSTRD_MASK = 0xF;
  public static final long CAP_NSSRS = 1L << 36;

  /** The NVM command set. */
  public static final long CAP_CSS_NVM = 1L << 37;

  /** Smallest memory page: 4096 bytes shifted by it. */
  public static final int CAP_MPSMIN_SHIFT = 48;

  public static final int CAP_MPSMAX_SHIFT = 52;
  public static final int CAP_MPS_MASK = 0xF;

  /** CSTS.RDY says that the media are ready too. */
  public static final long CAP_CRWMS = 1L << 59;

  // CC.
  public static final int CC_EN = 1;
  public static final int CC_CSS_SHIFT = 4;
  public static final int CC_CSS_MASK = 7;
  public static final int CC_CSS_NVM = 0;
  public static final int CC_CSS_ALL = 6;
  public static final int CC_CSS_ADMIN_ONLY = 7;
  public static final int CC_MPS_SHIFT = 7;
  public static final int CC_MPS_MASK = 0xF;
  public static final int CC_AMS_SHIFT = 11;
  public static final int CC_AMS_MASK = 7;
  public static final int CC_SHN_SHIFT = 14;
  public static final int CC_SHN_MASK = 3;
  public static final int CC_SHN_NORMAL = 1;
  public static final int CC_SHN_ABRUPT = 2;
  public static final int CC_IOSQES_SHIFT = 16;
  public static final int CC_IOCQES_SHIFT = 20;
  public static final int CC_ENTRY_SIZE_MASK = 0xF;

  // CSTS.
  public static final int CSTS_RDY = 1;

  /** Fatal: only a reset helps. */
  public static final int CSTS_CFS = 1 << 1;

  public static final int CSTS_SHST_SHIFT = 2;
  public static final int CSTS_SHST_MASK = 3;
  public static final int CSTS_SHST_NORMAL = 0;
  public static final int CSTS_SHST_OCCURRING = 1;
  public static final int CSTS_SHST_COMPLETE = 2;
  public static final int CSTS_NSSRO = 1 << 4;

  // AQA.
  /** Entries of the admin submission queue, 0's based. */
  public static final int AQA_ASQS_MASK = 0xFFF;

  public static final int AQA_ACQS_SHIFT = 16;

  /** Entries of the admin completion queue, 0's based; after the shift. */
  public static final int AQA_ACQS_MASK = 0xFFF;

  /** ASQ and ACQ: the bits of an address of a page of 4096 bytes. */
  public static final long ADMIN_QUEUE_ADDRESS_MASK = -4096L;

  /** What a driver writes to NSSR to reset the subsystem: "NVMe". */
  public static final int NSSR_RESET = 0x4E56_4D65;

  private ControllerRegisters() {}

  /** The value of VS. */
  public static int version(final int major, final int minor, final int tertiary) {
    return (major << 16) | (minor << 8) | tertiary;
  }

  /** Offset, length and name of each register, as the golden test wants them. */
  public static String describe() {
    return LayoutText.of("controller registers", LENGTH)
        .field("CAP", CAP_OFFSET, Long.BYTES)
        .field("VS", VS_OFFSET, Integer.BYTES)
        .field("INTMS", INTMS_OFFSET, Integer.BYTES)
        .field("INTMC", INTMC_OFFSET, Integer.BYTES)
        .field("CC", CC_OFFSET, Integer.BYTES)
        .field("reserved", RESERVED_OFFSET, Integer.BYTES)
        .field("CSTS", CSTS_OFFSET, Integer.BYTES)
        .field("NSSR", NSSR_OFFSET, Integer.BYTES)
        .field("AQA", AQA_OFFSET, Integer.BYTES)
        .field("ASQ", ASQ_OFFSET, Long.BYTES)
        .field("ACQ", ACQ_OFFSET, Long.BYTES)
        .field("CRTO", CRTO_OFFSET, Integer.BYTES)
        .text();
  }
}

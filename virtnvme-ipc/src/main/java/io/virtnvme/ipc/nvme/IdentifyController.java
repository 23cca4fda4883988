package io.virtnvme.ipc.nvme;

import io.virtnvme.ipc.memory.LayoutText;

/**
 * Identify Controller data structure, little endian (NVM Express base specification 2.0, figure
 * 276): what Identify answers for {@link Cns#CONTROLLER}. The fields that are not here are 0. Text
 * is ASCII, filled up with blanks; the subsystem's name with zeroes.
 *
 * <pre>
 *  0     VID (2)  SSVID (2)  SN (20)  MN (40)  FR (8)  RAB (1)  IEEE (3)  CMIC (1)  MDTS (1)
 *  78    CNTLID (2)  VER (4)  RTD3R (4)  RTD3E (4)  OAES (4)  CTRATT (4)          ...
 *  111   CNTRLTYPE (1)                                                            ...
 *  256   OACS (2)  ACL (1)  AERL (1)  FRMW (1)  LPA (1)  ELPE (1)  NPSS (1)       ...
 *  266   WCTEMP (2)  CCTEMP (2)                                                   ...
 *  320   KAS (2)                                                                  ...
 *  512   SQES (1)  CQES (1)  MAXCMD (2)  NN (4)  ONCS (2)  FUSES (2)  FNA (1)  VWC (1)
 *  526   AWUN (2)  AWUPF (2)                                                      ...
 *  536   SGLS (4)                                                                 ...
 *  768   SUBNQN (256)                                                             ...
 *  2048  PSD0 (32): power state 0                                                 ...
 *  4096
 * </pre>
 */
public final class IdentifyController {
  public static final int VENDOR_ID_OFFSET = 0;
  public static final int SUBSYSTEM_VENDOR_ID_OFFSET = 2;
  public static final int SERIAL_OFFSET = 4;
  public static final int SERIAL_LENGTH = 20;
  public static final int MODEL_OFFSET = 24;
  public static final int MODEL_LENGTH = 40;
  public static final int FIRMWARE_OFFSET = 64;
  public static final int FIRMWARE_LENGTH = 8;
  public static final int TRANSFER_MAX_OFFSET = 77;
  public static final int CONTROLLER_ID_OFFSET = 78;
  public static final int VERSION_OFFSET = 80;
  public static final int EVENTS_SUPPORTED_OFFSET = 92;
  public static final int CONTROLLER_TYPE_OFFSET = 111;
  public static final int ADMIN_COMMANDS_OFFSET = 256;
  public static final int ABORT_LIMIT_OFFSET = 258;
  public static final int EVENT_REQUEST_LIMIT_OFFSET = 259;
  public static final int FIRMWARE_UPDATES_OFFSET = 260;
  public static final int LOG_PAGE_ATTRIBUTES_OFFSET = 261;
  public static final int ERROR_LOG_ENTRIES_OFFSET = 262;
  public static final int POWER_STATES_OFFSET = 263;
  public static final int WARNING_TEMPERATURE_OFFSET = 266;
  public static final int CRITICAL_TEMPERATURE_OFFSET = 268;
  public static final int KEEP_ALIVE_OFFSET = 320;
  public static final int SQ_ENTRY_SIZE_OFFSET = 512;
  public static final int CQ_ENTRY_SIZE_OFFSET = 513;
  public static final int NAMESPACE_ID_MAX_OFFSET = 516;
  public static final int NVM_COMMANDS_OFFSET = 520;
  public static final int FUSED_OFFSET = 522;
  public static final int WRITE_CACHE_OFFSET = 525;
  public static final int ATOMIC_WRITE_OFFSET = 526;
  public static final int ATOMIC_WRITE_POWER_FAIL_OFFSET = 528;
  public static final int SGL_SUPPORT_OFFSET = 536;
  public static final int SUBSYSTEM_NQN_OFFSET = 768;
  public static final int SUBSYSTEM_NQN_LENGTH = 256;
  public static final int POWER_STATE_0_OFFSET = 2048;
  public static final int LENGTH = 4096;

  /** CNTRLTYPE. */
  public static final int TYPE_IO_CONTROLLER = 1;

  /** OAES and Asynchronous Event Configuration: notice of changed namespaces. */
  public static final int EVENT_NAMESPACE_CHANGED = 1 << 8;

  /** OACS. */
  public static final int OACS_DOORBELL_BUFFER = 1 << 8;

  /** FRMW: the only slot cannot be written. */
  public static final int FRMW_ONE_READ_ONLY_SLOT = 1 << 1 | 1;

  /** LPA: the log of commands and effects. */
  public static final int LPA_EFFECTS = 1 << 1;

  /** LPA: 32-bit lengths and offsets in Get Log Page. */
  public static final int LPA_EXTENDED = 1 << 2;

  /** LPA: the logs of supported pages and of features and effects. */
  public static final int LPA_MISCELLANEOUS = 1 << 5;

  public static final int ONCS_COMPARE = 1;
  public static final int ONCS_DATASET_MANAGEMENT = 1 << 2;
  public static final int ONCS_WRITE_ZEROES = 1 << 3;

  /** ONCS: the select field of Get Features. */
  public static final int ONCS_SELECT = 1 << 4;

  public static final int ONCS_VERIFY = 1 << 7;

  /** VWC: there is a volatile write cache. */
  public static final int VWC_PRESENT = 1;

  /** VWC: Flush of all namespaces at once is refused. */
  public static final int VWC_NO_FLUSH_ALL = 2 << 1;

  /** SGLS: SGLs for I/O commands, of any alignment. */
  public static final int SGLS_SUPPORTED = 1;

  public static final int SGLS_BIT_BUCKET = 1 << 16;

  /** SGLS: an SGL may be longer than the data. */
  public static final int SGLS_LONGER = 1 << 18;

  private IdentifyController() {}

  /** Offset, length and name of each field, as the golden test wants them. */
  public static String describe() {
    return LayoutText.of("identify controller", LENGTH)
        .field("vid", VENDOR_ID_OFFSET, Short.BYTES)
        .field("ssvid", SUBSYSTEM_VENDOR_ID_OFFSET, Short.BYTES)
        .field("sn", SERIAL_OFFSET, SERIAL_LENGTH)
        .field("mn", MODEL_OFFSET, MODEL_LENGTH)
        .field("fr", FIRMWARE_OFFSET, FIRMWARE_LENGTH)
        .field("mdts", TRANSFER_MAX_OFFSET, Byte.BYTES)
        .field("cntlid", CONTROLLER_ID_OFFSET, Short.BYTES)
        .field("ver", VERSION_OFFSET, Integer.BYTES)
        .field("oaes", EVENTS_SUPPORTED_OFFSET, Integer.BYTES)
        .field("cntrltype", CONTROLLER_TYPE_OFFSET, Byte.BYTES)
        .field("oacs", ADMIN_COMMANDS_OFFSET, Short.BYTES)
        .field("acl", ABORT_LIMIT_OFFSET, Byte.BYTES)
        .field("aerl", EVENT_REQUEST_LIMIT_OFFSET, Byte.BYTES)
        .field("frmw", FIRMWARE_UPDATES_OFFSET, Byte.BYTES)
        .field("lpa", LOG_PAGE_ATTRIBUTES_OFFSET, Byte.BYTES)
        .field("elpe", ERROR_LOG_ENTRIES_OFFSET, Byte.BYTES)
        .field("npss", POWER_STATES_OFFSET, Byte.BYTES)
        .field("wctemp", WARNING_TEMPERATURE_OFFSET, Short.BYTES)
        .field("cctemp", CRITICAL_TEMPERATURE_OFFSET, Short.BYTES)
        .field("kas", KEEP_ALIVE_OFFSET, Short.BYTES)
        .field("sqes", SQ_ENTRY_SIZE_OFFSET, Byte.BYTES)
        .field("cqes", CQ_ENTRY_SIZE_OFFSET, Byte.BYTES)
        .field("nn", NAMESPACE_ID_MAX_OFFSET, Integer.BYTES)
        .field("oncs", NVM_COMMANDS_OFFSET, Short.BYTES)
        .field("fuses", FUSED_OFFSET, Short.BYTES)
        .field("vwc", WRITE_CACHE_OFFSET, Byte.BYTES)
        .field("awun", ATOMIC_WRITE_OFFSET, Short.BYTES)
        .field("awupf", ATOMIC_WRITE_POWER_FAIL_OFFSET, Short.BYTES)
        .field("sgls", SGL_SUPPORT_OFFSET, Integer.BYTES)
        .field("subnqn", SUBSYSTEM_NQN_OFFSET, SUBSYSTEM_NQN_LENGTH)
        .field("psd0", POWER_STATE_0_OFFSET, 32)
        .text();
  }
}

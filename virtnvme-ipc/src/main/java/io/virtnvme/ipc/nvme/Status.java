package io.virtnvme.ipc.nvme;

/**
 * Status of a completion without the phase tag (NVM Express base specification 2.0, 3.3.3.2.1): 15
 * bits.
 *
 * <pre>
 *   14   13   12 11  10   8 7             0
 *  +---+---+-------+-------+---------------+
 *  | D | M |  CRD  | type  |     code      |   D = do not retry, M = more in the error log
 *  +---+---+-------+-------+---------------+
 * </pre>
 *
 * The constants hold type and code.
 */
public final class Status {
  public static final int DO_NOT_RETRY = 1 << 14;

  /** There is an entry of the error log about it. */
  public static final int MORE = 1 << 13;

  private static final int TYPE_SHIFT = 8;
  private static final int TYPE_COMMAND_SPECIFIC = 1 << TYPE_SHIFT;
  private static final int TYPE_MEDIA = 2 << TYPE_SHIFT;
  private static final int CODE_MASK = 0xFF;
  private static final int TYPE_MASK = 7;

  // Generic (figure 95).
  public static final int SUCCESS = 0x00;
  public static final int INVALID_OPCODE = 0x01;
  public static final int INVALID_FIELD = 0x02;
  public static final int COMMAND_ID_CONFLICT = 0x03;
  public static final int DATA_TRANSFER_ERROR = 0x04;
  public static final int ABORTED_POWER_LOSS = 0x05;
  public static final int INTERNAL_ERROR = 0x06;
  public static final int ABORTED_BY_REQUEST = 0x07;
  public static final int ABORTED_SQ_DELETION = 0x08;
  public static final int FUSED_FAILED = 0x09;
  public static final int FUSED_MISSING = 0x0A;
  public static final int INVALID_NAMESPACE_OR_FORMAT = 0x0B;
  public static final int COMMAND_SEQUENCE_ERROR = 0x0C;
  public static final int INVALID_SGL_SEGMENT = 0x0D;
  public static final int INVALID_SGL_COUNT = 0x0E;
  public static final int INVALID_SGL_LENGTH = 0x0F;
  public static final int INVALID_METADATA_SGL_LENGTH = 0x10;
  public static final int INVALID_SGL_TYPE = 0x11;
  public static final int INVALID_PRP_OFFSET = 0x13;
  public static final int INVALID_SGL_OFFSET = 0x16;
  public static final int HOST_IDENTIFIER_FORMAT = 0x18;
  public static final int COMMAND_INTERRUPTED = 0x21;
  public static final int NAMESPACE_WRITE_PROTECTED = 0x20;
  public static final int TRANSIENT_TRANSPORT_ERROR = 0x22;
  public static final int LBA_OUT_OF_RANGE = 0x80;
  public static final int CAPACITY_EXCEEDED = 0x81;
  public static final int NAMESPACE_NOT_READY = 0x82;

  // Command specific (figure 96).
  public static final int COMPLETION_QUEUE_INVALID = TYPE_COMMAND_SPECIFIC | 0x00;
  public static final int INVALID_QUEUE_ID = TYPE_COMMAND_SPECIFIC | 0x01;
  public static final int INVALID_QUEUE_SIZE = TYPE_COMMAND_SPECIFIC | 0x02;
  public static final int ABORT_LIMIT_EXCEEDED = TYPE_COMMAND_SPECIFIC | 0x03;
  public static final int ASYNC_EVENT_LIMIT_EXCEEDED = TYPE_COMMAND_SPECIFIC | 0x05;
  public static final int INVALID_FIRMWARE_SLOT = TYPE_COMMAND_SPECIFIC | 0x06;
  public static final int INVALID_FIRMWARE_IMAGE = TYPE_COMMAND_SPECIFIC | 0x07;
  public static final int INVALID_INTERRUPT_VECTOR = TYPE_COMMAND_SPECIFIC | 0x08;
  public static final int INVALID_LOG_PAGE = TYPE_COMMAND_SPECIFIC | 0x09;
  public static final int INVALID_FORMAT = TYPE_COMMAND_SPECIFIC | 0x0A;
  public static final int INVALID_QUEUE_DELETION = TYPE_COMMAND_SPECIFIC | 0x0C;
  public static final int FEATURE_NOT_SAVEABLE = TYPE_COMMAND_SPECIFIC | 0x0D;
  public static final int FEATURE_NOT_CHANGEABLE = TYPE_COMMAND_SPECIFIC | 0x0E;
  public static final int FEATURE_NOT_NAMESPACE_SPECIFIC = TYPE_COMMAND_SPECIFIC | 0x0F;
  public static final int CONFLICTING_ATTRIBUTES = TYPE_COMMAND_SPECIFIC | 0x80;
  public static final int WRITE_TO_READ_ONLY_RANGE = TYPE_COMMAND_SPECIFIC | 0x82;

  // Media and data integrity (figure 98).
  public static final int WRITE_FAULT = TYPE_MEDIA | 0x80;
  public static final int UNRECOVERED_READ_ERROR = TYPE_MEDIA | 0x81;
  public static final int COMPARE_FAILURE = TYPE_MEDIA | 0x85;
  public static final int ACCESS_DENIED = TYPE_MEDIA | 0x86;
  public static final int DEALLOCATED_BLOCK = TYPE_MEDIA | 0x87;

  private Status() {}

  public static int code(final int status) {
    return status & CODE_MASK;
  }

  /** 0 generic, 1 command specific, 2 media and data integrity, 3 path, 7 vendor. */
  public static int type(final int status) {
    return (status >>> TYPE_SHIFT) & TYPE_MASK;
  }

  /** Type and code only, as the constants here. */
  public static int typeAndCode(final int status) {
    return status & (CODE_MASK | (TYPE_MASK << TYPE_SHIFT));
  }
}

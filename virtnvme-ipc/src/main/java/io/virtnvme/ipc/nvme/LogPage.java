package io.virtnvme.ipc.nvme;

import io.virtnvme.ipc.memory.LayoutText;

/**
 * Log pages as Get Log Page answers them, little endian (NVM Express base specification 2.0,
 * 5.16.1). The fields that are not here are 0.
 *
 * <pre>
 *  Supported log pages (1024), features supported and effects (1024):
 *  0     one dword for each id: bit 0 supported
 *
 *  Error information, an entry (64):
 *  0     error count (8)  SQ id (2)  command id (2)  status and phase (2)  location (2)
 *  16    block (8)  namespace (4)  vendor (1)  transport (1)                    ...
 *  64
 *
 *  SMART / health (512):
 *  0     critical warning (1)  temperature (2)  spare (1)  threshold (1)  used (1)   ...
 *  32    data units read (16)  written (16)  host reads (16)  writes (16)
 *  96    busy time (16)  power cycles (16)  power-on hours (16)  unsafe shutdowns (16)
 *  160   media errors (16)  error log entries (16)                              ...
 *
 *  Firmware slots (512):
 *  0     active slot (1)                                                        ...
 *  8     revision of slot 1 (8)                                                 ...
 *
 *  Changed namespaces (4096): up to 1024 ids (4)
 *
 *  Commands supported and effects (4096):
 *  0     one dword for each admin opcode, then one for each I/O opcode
 * </pre>
 */
public final class LogPage {
  public static final int SUPPORTED_PAGES_LENGTH = 1024;
  public static final int FEATURES_LENGTH = 1024;

  /** Ids and opcodes that a page has an entry for. */
  public static final int ID_COUNT = 256;

  /** In a supported pages, features or effects entry. */
  public static final int SUPPORTED = 1;

  public static final int ERROR_COUNT_OFFSET = 0;
  public static final int ERROR_SQ_ID_OFFSET = 8;
  public static final int ERROR_COMMAND_ID_OFFSET = 10;
  public static final int ERROR_STATUS_OFFSET = 12;
  public static final int ERROR_LOCATION_OFFSET = 14;
  public static final int ERROR_BLOCK_OFFSET = 16;
  public static final int ERROR_NAMESPACE_OFFSET = 24;
  public static final int ERROR_ENTRY_LENGTH = 64;

  public static final int SMART_WARNING_OFFSET = 0;
  public static final int SMART_TEMPERATURE_OFFSET = 1;
  public static final int SMART_SPARE_OFFSET = 3;
  public static final int SMART_SPARE_THRESHOLD_OFFSET = 4;
  public static final int SMART_UNITS_READ_OFFSET = 32;
  public static final int SMART_UNITS_WRITTEN_OFFSET = 48;
  public static final int SMART_READS_OFFSET = 64;
  public static final int SMART_WRITES_OFFSET = 80;
  public static final int SMART_POWER_CYCLES_OFFSET = 112;
  public static final int SMART_POWER_ON_HOURS_OFFSET = 128;
  public static final int SMART_UNSAFE_SHUTDOWNS_OFFSET = 144;
  public static final int SMART_MEDIA_ERRORS_OFFSET = 160;
  public static final int SMART_ERROR_ENTRIES_OFFSET = 176;
  public static final int SMART_LENGTH = 512;

  /** Critical warning: a temperature is beyond its threshold. */
  public static final int SMART_WARNING_TEMPERATURE = 1 << 1;

  /** A data unit is a thousand of these. */
  public static final int SMART_UNIT_BYTES = 512 * 1000;

  public static final int FIRMWARE_ACTIVE_OFFSET = 0;
  public static final int FIRMWARE_REVISION_1_OFFSET = 8;
  public static final int FIRMWARE_LENGTH = 512;

  public static final int CHANGED_NAMESPACES_LENGTH = 4096;

  public static final int EFFECTS_ADMIN_OFFSET = 0;
  public static final int EFFECTS_IO_OFFSET = ID_COUNT * Integer.BYTES;
  public static final int EFFECTS_LENGTH = 4096;

  /** Effects: the contents of blocks may change. */
  public static final int EFFECT_BLOCKS_CHANGE = 1 << 1;

  /** Effects: the command acts on a namespace. */
  public static final int EFFECT_NAMESPACE_SCOPE = 1 << 20;

  /** Effects: the command acts on the controller. */
  public static final int EFFECT_CONTROLLER_SCOPE = 1 << 21;

  private LogPage() {}

  /** Offset, length and name of each field, as the golden test wants them. */
  public static String describe() {
    return LayoutText.of("error information entry", ERROR_ENTRY_LENGTH)
            .field("error_count", ERROR_COUNT_OFFSET, Long.BYTES)
            .field("sqid", ERROR_SQ_ID_OFFSET, Short.BYTES)
            .field("cid", ERROR_COMMAND_ID_OFFSET, Short.BYTES)
            .field("status", ERROR_STATUS_OFFSET, Short.BYTES)
            .field("location", ERROR_LOCATION_OFFSET, Short.BYTES)
            .field("lba", ERROR_BLOCK_OFFSET, Long.BYTES)
            .field("nsid", ERROR_NAMESPACE_OFFSET, Integer.BYTES)
            .text()
        + LayoutText.of("SMART / health log", SMART_LENGTH)
            .field("critical_warning", SMART_WARNING_OFFSET, Byte.BYTES)
            .field("temperature", SMART_TEMPERATURE_OFFSET, Short.BYTES)
            .field("spare", SMART_SPARE_OFFSET, Byte.BYTES)
            .field("spare_threshold", SMART_SPARE_THRESHOLD_OFFSET, Byte.BYTES)
            .field("data_units_read", SMART_UNITS_READ_OFFSET, 16)
            .field("data_units_written", SMART_UNITS_WRITTEN_OFFSET, 16)
            .field("host_reads", SMART_READS_OFFSET, 16)
            .field("host_writes", SMART_WRITES_OFFSET, 16)
            .field("power_cycles", SMART_POWER_CYCLES_OFFSET, 16)
            .field("power_on_hours", SMART_POWER_ON_HOURS_OFFSET, 16)
            .field("unsafe_shutdowns", SMART_UNSAFE_SHUTDOWNS_OFFSET, 16)
            .field("media_errors", SMART_MEDIA_ERRORS_OFFSET, 16)
            .field("error_entries", SMART_ERROR_ENTRIES_OFFSET, 16)
            .text();
  }
}

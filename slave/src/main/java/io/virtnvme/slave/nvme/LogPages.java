package io.virtnvme.slave.nvme;

import static io.virtnvme.ipc.nvme.SubmissionEntry.DWORD10_OFFSET;
import static io.virtnvme.ipc.nvme.SubmissionEntry.DWORD12_OFFSET;
import static io.virtnvme.ipc.nvme.SubmissionEntry.DWORD14_OFFSET;
import static io.virtnvme.ipc.nvme.SubmissionEntry.NAMESPACE_ID_OFFSET;

import io.virtnvme.ipc.memory.LittleEndian;
import io.virtnvme.ipc.nvme.AdminOpcode;
import io.virtnvme.ipc.nvme.FeatureId;
import io.virtnvme.ipc.nvme.LogPage;
import io.virtnvme.ipc.nvme.LogPageId;
import io.virtnvme.ipc.nvme.NvmOpcode;
import io.virtnvme.ipc.nvme.Status;
import java.nio.charset.StandardCharsets;
import java.util.List;
import java.util.function.LongSupplier;
import java.util.function.Supplier;

/** Get Log Page (NVM Express base specification 2.0, 5.16). Functions of state and command. */
final class LogPages {
  static final List<Integer> SUPPORTED =
      List.of(
          LogPageId.SUPPORTED_LOG_PAGES,
          LogPageId.ERROR_INFORMATION,
          LogPageId.SMART_HEALTH,
          LogPageId.FIRMWARE_SLOT,
          LogPageId.CHANGED_NAMESPACES,
          LogPageId.COMMANDS_SUPPORTED_AND_EFFECTS,
          LogPageId.FEATURES_SUPPORTED_AND_EFFECTS);

  /** Admin commands that there are. */
  static final List<Integer> ADMIN_OPCODES =
      List.of(
          AdminOpcode.DELETE_SQ,
          AdminOpcode.CREATE_SQ,
          AdminOpcode.GET_LOG_PAGE,
          AdminOpcode.DELETE_CQ,
          AdminOpcode.CREATE_CQ,
          AdminOpcode.IDENTIFY,
          AdminOpcode.ABORT,
          AdminOpcode.SET_FEATURES,
          AdminOpcode.GET_FEATURES,
          AdminOpcode.ASYNC_EVENT_REQUEST,
          AdminOpcode.DOORBELL_BUFFER_CONFIG);

  private static final List<Integer> READING_OPCODES =
      List.of(NvmOpcode.FLUSH, NvmOpcode.READ, NvmOpcode.COMPARE, NvmOpcode.VERIFY);
  private static final List<Integer> WRITING_OPCODES =
      List.of(NvmOpcode.WRITE, NvmOpcode.WRITE_ZEROES, NvmOpcode.DATASET_MANAGEMENT);

  private static final int ID_MASK = 0xFF;
  private static final int RETAIN_EVENT = 1 << 15;
  private static final int HALF_SHIFT = 16;
  private static final int HALF_MASK = 0xFFFF;
  private static final int OFFSET_IS_INDEX = 1 << 23;
  private static final int COMMAND_SET_SHIFT = 24;
  private static final long MS_PER_HOUR = 3_600_000;
  private static final int SPARE_PERCENT = 100;
  private static final int SPARE_THRESHOLD_PERCENT = 10;

  private final Supplier<IoTotals> totals;
  private final LongSupplier wallClockMs;

  LogPages(final Supplier<IoTotals> totals, final LongSupplier wallClockMs) {
    this.totals = totals;
    this.wallClockMs = wallClockMs;
  }

  Decision get(final ControllerState state, final AdminCommand command) {
    final int id = command.dword10() & ID_MASK;
    final int dwordsLow = command.dword10() >>> HALF_SHIFT;
    final int dwordsHigh = command.dword11() & HALF_MASK;
    final long lengthBytes = ((((long) dwordsHigh << HALF_SHIFT) | dwordsLow) + 1) * Integer.BYTES;
    final long offset =
        (command.dword12() & 0xFFFF_FFFFL) | ((long) command.dword13() << Integer.SIZE);
    if (!SUPPORTED.contains(id)) {
      return Decision.refuse(Status.INVALID_LOG_PAGE, DWORD10_OFFSET);
    }
    if (!command.isForController()) {
      return Decision.refuse(Status.INVALID_FIELD, NAMESPACE_ID_OFFSET);
    }
    if (lengthBytes > ControllerConfig.TRANSFER_BYTES_MAX) {
      return Decision.refuse(
          Status.INVALID_FIELD, AdminCommand.location(DWORD10_OFFSET, HALF_SHIFT));
    }
    if ((command.dword14() & OFFSET_IS_INDEX) != 0) {
      return Decision.refuse(Status.INVALID_FIELD, AdminCommand.location(DWORD14_OFFSET, 23));
    }
    if (id == LogPageId.COMMANDS_SUPPORTED_AND_EFFECTS
        && command.dword14() >>> COMMAND_SET_SHIFT != 0) {
      return Decision.refuse(
          Status.INVALID_FIELD, AdminCommand.location(DWORD14_OFFSET, COMMAND_SET_SHIFT));
    }
    final byte[] page = page(state, id);
    if (offset % Integer.BYTES != 0 || Long.compareUnsigned(offset, page.length) > 0) {
      return Decision.refuse(Status.INVALID_FIELD, DWORD12_OFFSET);
    }
    final byte[] data = new byte[(int) lengthBytes];
    System.arraycopy(
        page, (int) offset, data, 0, (int) Math.min(lengthBytes, page.length - offset));
    final Decision decision = Decision.answer(data);
    return (command.dword10() & RETAIN_EVENT) != 0
        ? decision
        : decision.changing(current -> current.with(current.events().afterReading(id)));
  }

  private byte[] page(final ControllerState state, final int id) {
    return switch (id) {
      case LogPageId.SUPPORTED_LOG_PAGES -> supportedPages();
      case LogPageId.ERROR_INFORMATION -> errors(state.errors());
      case LogPageId.SMART_HEALTH -> smart(state);
      case LogPageId.FIRMWARE_SLOT -> firmware();
      case LogPageId.CHANGED_NAMESPACES -> changedNamespaces(state);
      case LogPageId.FEATURES_SUPPORTED_AND_EFFECTS -> features();
      default -> effects();
    };
  }

  private static byte[] supportedPages() {
    final byte[] page = new byte[LogPage.SUPPORTED_PAGES_LENGTH];
    SUPPORTED.forEach(id -> LittleEndian.putInt(page, id * Integer.BYTES, LogPage.SUPPORTED));
    return page;
  }

  private static byte[] errors(final ErrorLog log) {
    final byte[] page = new byte[ErrorLog.ENTRIES_MAX * LogPage.ERROR_ENTRY_LENGTH];
    for (int i = 0; i < log.entries().size(); i++) {
      final CommandError error = log.entries().get(i);
      final int at = i * LogPage.ERROR_ENTRY_LENGTH;
      LittleEndian.putLong(page, at + LogPage.ERROR_COUNT_OFFSET, log.count() - i);
      LittleEndian.putShort(page, at + LogPage.ERROR_SQ_ID_OFFSET, error.queueId());
      LittleEndian.putShort(page, at + LogPage.ERROR_COMMAND_ID_OFFSET, error.commandId());
      // As in the completion, with room for the phase tag.
      LittleEndian.putShort(page, at + LogPage.ERROR_STATUS_OFFSET, error.status() << 1);
      LittleEndian.putShort(page, at + LogPage.ERROR_LOCATION_OFFSET, error.location());
      LittleEndian.putLong(page, at + LogPage.ERROR_BLOCK_OFFSET, error.block());
      LittleEndian.putInt(page, at + LogPage.ERROR_NAMESPACE_OFFSET, error.namespaceId());
    }
    return page;
  }

  private byte[] smart(final ControllerState state) {
    final IoTotals io = totals.get();
    final byte[] page = new byte[LogPage.SMART_LENGTH];
    page[LogPage.SMART_WARNING_OFFSET] =
        (byte)
            (Features.isTemperatureBeyond(state.features())
                ? LogPage.SMART_WARNING_TEMPERATURE
                : 0);
    LittleEndian.putShort(page, LogPage.SMART_TEMPERATURE_OFFSET, IdentifyData.TEMPERATURE_KELVIN);
    page[LogPage.SMART_SPARE_OFFSET] = SPARE_PERCENT;
    page[LogPage.SMART_SPARE_THRESHOLD_OFFSET] = SPARE_THRESHOLD_PERCENT;
    LittleEndian.putLong(page, LogPage.SMART_UNITS_READ_OFFSET, units(io.readBytes()));
    LittleEndian.putLong(page, LogPage.SMART_UNITS_WRITTEN_OFFSET, units(io.writtenBytes()));
    LittleEndian.putLong(page, LogPage.SMART_READS_OFFSET, io.readCommands());
    LittleEndian.putLong(page, LogPage.SMART_WRITES_OFFSET, io.writeCommands());
    LittleEndian.putLong(page, LogPage.SMART_POWER_CYCLES_OFFSET, 1);
    final long onMs = Math.max(0, wallClockMs.getAsLong() - state.createdMs());
    LittleEndian.putLong(page, LogPage.SMART_POWER_ON_HOURS_OFFSET, onMs / MS_PER_HOUR);
    LittleEndian.putLong(page, LogPage.SMART_UNSAFE_SHUTDOWNS_OFFSET, state.unsafeShutdowns());
    LittleEndian.putLong(page, LogPage.SMART_MEDIA_ERRORS_OFFSET, io.mediaErrors());
    LittleEndian.putLong(page, LogPage.SMART_ERROR_ENTRIES_OFFSET, state.errors().count());
    return page;
  }

  /** Thousands of 512 bytes, rounded up (figure 207). */
  private static long units(final long bytes) {
    return bytes / LogPage.SMART_UNIT_BYTES + (bytes % LogPage.SMART_UNIT_BYTES == 0 ? 0 : 1);
  }

  private static byte[] firmware() {
    final byte[] page = new byte[LogPage.FIRMWARE_LENGTH];
    page[LogPage.FIRMWARE_ACTIVE_OFFSET] = 1;
    final byte[] revision =
        String.format("%-8s", IdentifyData.FIRMWARE).getBytes(StandardCharsets.US_ASCII);
    System.arraycopy(revision, 0, page, LogPage.FIRMWARE_REVISION_1_OFFSET, revision.length);
    return page;
  }

  private static byte[] changedNamespaces(final ControllerState state) {
    final byte[] page = new byte[LogPage.CHANGED_NAMESPACES_LENGTH];
    IdentifyData.putIds(page, state.events().changedNamespaces());
    return page;
  }

  private static byte[] effects() {
    final byte[] page = new byte[LogPage.EFFECTS_LENGTH];
    for (final int opcode : ADMIN_OPCODES) {
      putEffects(
          page,
          LogPage.EFFECTS_ADMIN_OFFSET,
          opcode,
          LogPage.SUPPORTED | LogPage.EFFECT_CONTROLLER_SCOPE);
    }
    // No command scope (5.16.1.6 lets it be 0, not reported): Linux takes an I/O command that says
    // more than that blocks change for an unusual one.
    for (final int opcode : READING_OPCODES) {
      putEffects(page, LogPage.EFFECTS_IO_OFFSET, opcode, LogPage.SUPPORTED);
    }
    for (final int opcode : WRITING_OPCODES) {
      putEffects(
          page,
          LogPage.EFFECTS_IO_OFFSET,
          opcode,
          LogPage.SUPPORTED | LogPage.EFFECT_BLOCKS_CHANGE);
    }
    return page;
  }

  private static void putEffects(
      final byte[] page, final int base, final int opcode, final int effects) {
    LittleEndian.putInt(page, base + opcode * Integer.BYTES, effects);
  }

  private static byte[] features() {
    final byte[] page = new byte[LogPage.FEATURES_LENGTH];
    for (final int id : Features.SUPPORTED) {
      LittleEndian.putInt(
          page,
          id * Integer.BYTES,
          LogPage.SUPPORTED
              | (id == FeatureId.ERROR_RECOVERY
                  ? LogPage.EFFECT_NAMESPACE_SCOPE
                  : LogPage.EFFECT_CONTROLLER_SCOPE));
    }
    return page;
  }
}

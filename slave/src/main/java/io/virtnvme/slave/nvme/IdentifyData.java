package io.virtnvme.slave.nvme;

import static io.virtnvme.ipc.nvme.SubmissionEntry.DWORD10_OFFSET;
import static io.virtnvme.ipc.nvme.SubmissionEntry.DWORD11_OFFSET;
import static io.virtnvme.ipc.nvme.SubmissionEntry.NAMESPACE_ID_OFFSET;

import io.virtnvme.ipc.memory.LittleEndian;
import io.virtnvme.ipc.nvme.Cns;
import io.virtnvme.ipc.nvme.CompletionEntry;
import io.virtnvme.ipc.nvme.IdentifyController;
import io.virtnvme.ipc.nvme.IdentifyNamespace;
import io.virtnvme.ipc.nvme.PrpEntry;
import io.virtnvme.ipc.nvme.Status;
import io.virtnvme.ipc.nvme.SubmissionEntry;
import java.nio.charset.StandardCharsets;
import java.util.Arrays;
import java.util.List;

/**
 * Identify (NVM Express base specification 2.0, 5.17): what controller and namespaces are.
 * Functions of state and command.
 */
final class IdentifyData {
  /** A volume has no temperature: that of a room. */
  static final int TEMPERATURE_KELVIN = 298;

  static final int WARNING_TEMPERATURE_KELVIN = 343;
  static final int CRITICAL_TEMPERATURE_KELVIN = 373;

  /** What "firmware" this is: the same in every build, or a driver would see a change. */
  static final String FIRMWARE = "1";

  static final int ABORT_LIMIT = 4;

  private static final int LENGTH = 4096;
  private static final int CNS_MASK = 0xFF;
  private static final int CONTROLLER_ID_SHIFT = 16;
  private static final int COMMAND_SET_SHIFT = 24;
  private static final int LIST_MAX = LENGTH / Integer.BYTES;

  /** Namespace ids with a meaning of their own begin here, for lists. */
  private static final int NAMESPACE_ID_RESERVED = 0xFFFF_FFFE;

  private final ControllerConfig config;

  IdentifyData(final ControllerConfig config) {
    this.config = config;
  }

  Decision identify(final ControllerState state, final AdminCommand command) {
    final int cns = command.dword10() & CNS_MASK;
    return switch (cns) {
      case Cns.NAMESPACE -> namespace(state, command, true);
      case Cns.ALLOCATED_NAMESPACE -> namespace(state, command, false);
      case Cns.CONTROLLER -> Decision.answer(controller());
      case Cns.ACTIVE_NAMESPACE_LIST, Cns.ALLOCATED_NAMESPACE_LIST -> namespaceList(state, command);
      case Cns.NAMESPACE_DESCRIPTORS -> descriptors(state, command);
      case Cns.IO_COMMAND_SET_NAMESPACE,
          Cns.IO_COMMAND_SET_CONTROLLER,
          Cns.IO_COMMAND_SET_ACTIVE_NAMESPACE_LIST ->
          commandSetSpecific(state, command, cns);
      case Cns.INDEPENDENT_NAMESPACE -> independentNamespace(state, command);
      case Cns.NAMESPACE_CONTROLLER_LIST -> namespaceControllers(state, command);
      case Cns.CONTROLLER_LIST -> Decision.answer(controllerList(command));
      case Cns.IO_COMMAND_SETS -> Decision.answer(commandSets());
      default -> Decision.refuse(Status.INVALID_FIELD, DWORD10_OFFSET);
    };
  }

  /** Base specification 2.0, figure 276. */
  private byte[] controller() {
    final byte[] data = new byte[LENGTH];
    LittleEndian.putShort(data, IdentifyController.VENDOR_ID_OFFSET, config.pciVendorId());
    LittleEndian.putShort(
        data, IdentifyController.SUBSYSTEM_VENDOR_ID_OFFSET, config.pciSubsystemVendorId());
    putText(
        data,
        IdentifyController.SERIAL_OFFSET,
        IdentifyController.SERIAL_LENGTH,
        config.serial(),
        ' ');
    putText(
        data,
        IdentifyController.MODEL_OFFSET,
        IdentifyController.MODEL_LENGTH,
        config.model(),
        ' ');
    putText(
        data,
        IdentifyController.FIRMWARE_OFFSET,
        IdentifyController.FIRMWARE_LENGTH,
        FIRMWARE,
        ' ');
    data[IdentifyController.TRANSFER_MAX_OFFSET] =
        (byte)
            Integer.numberOfTrailingZeros(
                ControllerConfig.TRANSFER_BYTES_MAX >>> PrpEntry.PAGE_SHIFT);
    LittleEndian.putShort(data, IdentifyController.CONTROLLER_ID_OFFSET, config.controllerId());
    LittleEndian.putInt(data, IdentifyController.VERSION_OFFSET, Registers.VERSION);
    LittleEndian.putInt(
        data,
        IdentifyController.EVENTS_SUPPORTED_OFFSET,
        IdentifyController.EVENT_NAMESPACE_CHANGED);
    data[IdentifyController.CONTROLLER_TYPE_OFFSET] = (byte) IdentifyController.TYPE_IO_CONTROLLER;
    putAdminAttributes(data);
    putNvmAttributes(data);
    putText(
        data,
        IdentifyController.SUBSYSTEM_NQN_OFFSET,
        IdentifyController.SUBSYSTEM_NQN_LENGTH,
        config.subsystemNqn(),
        '\0');
    return data;
  }

  private static void putAdminAttributes(final byte[] data) {
    LittleEndian.putShort(
        data, IdentifyController.ADMIN_COMMANDS_OFFSET, IdentifyController.OACS_DOORBELL_BUFFER);
    data[IdentifyController.ABORT_LIMIT_OFFSET] = (byte) (ABORT_LIMIT - 1);
    data[IdentifyController.EVENT_REQUEST_LIMIT_OFFSET] =
        (byte) (ControllerConfig.EVENT_REQUESTS_MAX - 1);
    data[IdentifyController.FIRMWARE_UPDATES_OFFSET] =
        (byte) IdentifyController.FRMW_ONE_READ_ONLY_SLOT;
    data[IdentifyController.LOG_PAGE_ATTRIBUTES_OFFSET] =
        (byte)
            (IdentifyController.LPA_EFFECTS
                | IdentifyController.LPA_EXTENDED
                | IdentifyController.LPA_MISCELLANEOUS);
    data[IdentifyController.ERROR_LOG_ENTRIES_OFFSET] = (byte) (ErrorLog.ENTRIES_MAX - 1);
    LittleEndian.putShort(
        data, IdentifyController.WARNING_TEMPERATURE_OFFSET, WARNING_TEMPERATURE_KELVIN);
    LittleEndian.putShort(
        data, IdentifyController.CRITICAL_TEMPERATURE_OFFSET, CRITICAL_TEMPERATURE_KELVIN);
  }

  private void putNvmAttributes(final byte[] data) {
    data[IdentifyController.SQ_ENTRY_SIZE_OFFSET] =
        (byte) (SubmissionEntry.ENTRY_SHIFT | (SubmissionEntry.ENTRY_SHIFT << 4));
    data[IdentifyController.CQ_ENTRY_SIZE_OFFSET] =
        (byte) (CompletionEntry.ENTRY_SHIFT | (CompletionEntry.ENTRY_SHIFT << 4));
    LittleEndian.putInt(data, IdentifyController.NAMESPACE_ID_MAX_OFFSET, config.namespaceIdMax());
    LittleEndian.putShort(
        data,
        IdentifyController.NVM_COMMANDS_OFFSET,
        IdentifyController.ONCS_COMPARE
            | IdentifyController.ONCS_DATASET_MANAGEMENT
            | IdentifyController.ONCS_WRITE_ZEROES
            | IdentifyController.ONCS_SELECT
            | IdentifyController.ONCS_VERIFY);
    data[IdentifyController.WRITE_CACHE_OFFSET] =
        (byte) (IdentifyController.VWC_PRESENT | IdentifyController.VWC_FLUSH_ALL);
    LittleEndian.putInt(
        data,
        IdentifyController.SGL_SUPPORT_OFFSET,
        IdentifyController.SGLS_SUPPORTED
            | IdentifyController.SGLS_BIT_BUCKET
            | IdentifyController.SGLS_LONGER);
  }

  private static void putText(
      final byte[] data, final int offset, final int length, final String text, final char pad) {
    final byte[] bytes = text.getBytes(StandardCharsets.US_ASCII);
    Arrays.fill(data, offset, offset + length, (byte) pad);
    System.arraycopy(bytes, 0, data, offset, Math.min(bytes.length, length));
  }

  private boolean isValid(final int namespaceId) {
    return namespaceId >= 1 && namespaceId <= config.namespaceIdMax();
  }

  private static Decision badNamespace() {
    return Decision.refuse(Status.INVALID_NAMESPACE_OR_FORMAT, NAMESPACE_ID_OFFSET);
  }

  /** A valid id without a namespace has a data structure of zeroes (5.17.2.1). */
  private Decision namespace(
      final ControllerState state, final AdminCommand command, final boolean isActiveWanted) {
    final int id = command.namespaceId();
    if (!isValid(id)) {
      return badNamespace();
    }
    final ShownNamespace shown = state.namespace(id);
    if (shown == null) {
      return isActiveWanted ? Decision.answer(new byte[LENGTH]) : badNamespace();
    }
    final Namespace namespace = shown.namespace();
    final byte[] data = new byte[LENGTH];
    LittleEndian.putLong(data, IdentifyNamespace.SIZE_OFFSET, namespace.blockCount());
    LittleEndian.putLong(data, IdentifyNamespace.CAPACITY_OFFSET, namespace.blockCount());
    LittleEndian.putLong(data, IdentifyNamespace.USE_OFFSET, namespace.blockCount());
    data[IdentifyNamespace.DEALLOCATE_FEATURES_OFFSET] =
        (byte) (IdentifyNamespace.DLFEAT_READS_ZERO | IdentifyNamespace.DLFEAT_WRITE_ZEROES);
    LittleEndian.putLong(
        data,
        IdentifyNamespace.CAPACITY_BYTES_OFFSET,
        namespace.blockCount() * namespace.blockBytes());
    data[IdentifyNamespace.ATTRIBUTES_OFFSET] = attributes(namespace);
    final NamespaceIds ids = namespace.ids();
    ids.putNguid(data, IdentifyNamespace.NGUID_OFFSET);
    ids.putEui64(data, IdentifyNamespace.EUI64_OFFSET);
    data[IdentifyNamespace.FORMAT_0_OFFSET + IdentifyNamespace.FORMAT_BLOCK_SHIFT_OFFSET] =
        (byte) Integer.numberOfTrailingZeros(namespace.blockBytes());
    return Decision.answer(data);
  }

  private static byte attributes(final Namespace namespace) {
    return (byte) (namespace.isReadOnly() ? IdentifyNamespace.NSATTR_WRITE_PROTECTED : 0);
  }

  private Decision independentNamespace(final ControllerState state, final AdminCommand command) {
    final int id = command.namespaceId();
    if (!isValid(id)) {
      return badNamespace();
    }
    final byte[] data = new byte[LENGTH];
    final ShownNamespace shown = state.namespace(id);
    if (shown != null) {
      data[IdentifyNamespace.INDEPENDENT_ATTRIBUTES_OFFSET] = attributes(shown.namespace());
      data[IdentifyNamespace.INDEPENDENT_STATUS_OFFSET] =
          (byte) IdentifyNamespace.INDEPENDENT_STATUS_READY;
    }
    return Decision.answer(data);
  }

  /** Ids greater than the given one, ascending (5.17.2.2). */
  private static Decision namespaceList(final ControllerState state, final AdminCommand command) {
    if (Integer.compareUnsigned(command.namespaceId(), NAMESPACE_ID_RESERVED) >= 0) {
      return badNamespace();
    }
    final byte[] data = new byte[LENGTH];
    int count = 0;
    for (final ShownNamespace shown : state.namespaces()) {
      if (Integer.compareUnsigned(shown.id(), command.namespaceId()) > 0 && count < LIST_MAX) {
        LittleEndian.putInt(data, count++ * Integer.BYTES, shown.id());
      }
    }
    return Decision.answer(data);
  }

  private Decision descriptors(final ControllerState state, final AdminCommand command) {
    final ShownNamespace shown = state.namespace(command.namespaceId());
    if (!isValid(command.namespaceId()) || shown == null) {
      return badNamespace();
    }
    final byte[] data = new byte[LENGTH];
    final NamespaceIds ids = shown.namespace().ids();
    int offset =
        putDescriptor(data, 0, IdentifyNamespace.DESCRIPTOR_UUID, NamespaceIds.UUID_LENGTH);
    ids.putUuid(data, offset - NamespaceIds.UUID_LENGTH);
    offset =
        putDescriptor(
            data, offset, IdentifyNamespace.DESCRIPTOR_NGUID, IdentifyNamespace.NGUID_LENGTH);
    ids.putNguid(data, offset - IdentifyNamespace.NGUID_LENGTH);
    offset =
        putDescriptor(
            data, offset, IdentifyNamespace.DESCRIPTOR_EUI64, IdentifyNamespace.EUI64_LENGTH);
    ids.putEui64(data, offset - IdentifyNamespace.EUI64_LENGTH);
    // The NVM command set has number 0.
    putDescriptor(data, offset, IdentifyNamespace.DESCRIPTOR_COMMAND_SET, Byte.BYTES);
    return Decision.answer(data);
  }

  /** Returns the offset behind the descriptor. */
  private static int putDescriptor(
      final byte[] data, final int offset, final int type, final int length) {
    data[offset + IdentifyNamespace.DESCRIPTOR_TYPE_OFFSET] = (byte) type;
    data[offset + IdentifyNamespace.DESCRIPTOR_LENGTH_OFFSET] = (byte) length;
    return offset + IdentifyNamespace.DESCRIPTOR_HEADER_LENGTH + length;
  }

  private Decision commandSetSpecific(
      final ControllerState state, final AdminCommand command, final int cns) {
    if (command.dword11() >>> COMMAND_SET_SHIFT != 0) {
      return Decision.refuse(
          Status.INVALID_FIELD, AdminCommand.location(DWORD11_OFFSET, COMMAND_SET_SHIFT));
    }
    if (cns == Cns.IO_COMMAND_SET_ACTIVE_NAMESPACE_LIST) {
      return namespaceList(state, command);
    }
    if (cns == Cns.IO_COMMAND_SET_CONTROLLER) {
      return Decision.answer(commandSetController());
    }
    // The namespace has neither metadata nor protection: nothing but zeroes to tell.
    return isValid(command.namespaceId()) ? Decision.answer(new byte[LENGTH]) : badNamespace();
  }

  /** Limits of commands that transfer nothing; MDTS does not count for them. */
  private static byte[] commandSetController() {
    final byte[] data = new byte[LENGTH];
    final byte pagesShift =
        (byte)
            Integer.numberOfTrailingZeros(
                ControllerConfig.WRITE_ZEROES_BYTES_MAX >>> PrpEntry.PAGE_SHIFT);
    data[IdentifyNamespace.VERIFY_MAX_OFFSET] = pagesShift;
    data[IdentifyNamespace.WRITE_ZEROES_MAX_OFFSET] = pagesShift;
    return data;
  }

  private Decision namespaceControllers(final ControllerState state, final AdminCommand command) {
    if (!isValid(command.namespaceId())) {
      return badNamespace();
    }
    return Decision.answer(
        state.namespace(command.namespaceId()) == null
            ? new byte[LENGTH]
            : controllerList(command));
  }

  /** The subsystem has one controller; the list has ids from the given one on. */
  private byte[] controllerList(final AdminCommand command) {
    final byte[] data = new byte[LENGTH];
    if (config.controllerId() >= command.dword10() >>> CONTROLLER_ID_SHIFT) {
      LittleEndian.putShort(data, 0, 1);
      LittleEndian.putShort(data, Short.BYTES, config.controllerId());
    }
    return data;
  }

  /** One combination of command sets: NVM alone. */
  private static byte[] commandSets() {
    final byte[] data = new byte[LENGTH];
    data[0] = 1;
    return data;
  }

  /** Ids in ascending order, for the changed namespaces log. */
  static void putIds(final byte[] data, final List<Integer> ids) {
    for (int i = 0; i < ids.size(); i++) {
      LittleEndian.putInt(data, i * Integer.BYTES, ids.get(i));
    }
  }
}

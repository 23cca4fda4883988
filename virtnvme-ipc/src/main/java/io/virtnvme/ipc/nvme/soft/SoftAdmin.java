package io.virtnvme.ipc.nvme.soft;

import io.virtnvme.ipc.memory.LittleEndian;
import io.virtnvme.ipc.nvme.AdminOpcode;
import io.virtnvme.ipc.nvme.Cns;
import io.virtnvme.ipc.nvme.CompletionEntry;
import io.virtnvme.ipc.nvme.FeatureId;
import io.virtnvme.ipc.nvme.IdentifyController;
import io.virtnvme.ipc.nvme.IdentifyNamespace;
import io.virtnvme.ipc.nvme.LogPage;
import io.virtnvme.ipc.nvme.LogPageId;
import io.virtnvme.ipc.nvme.Status;
import io.virtnvme.ipc.nvme.SubmissionEntry;
import java.nio.charset.StandardCharsets;
import java.util.Arrays;
import java.util.HashMap;
import java.util.Map;
import java.util.function.IntPredicate;

/** Admin commands of a device in software. The device's thread. */
final class SoftAdmin {
  /** The only namespace. */
  static final int NAMESPACE_ID = 1;

  private static final int QUEUE_SIZE_SHIFT = 16;
  private static final int CQ_ID_SHIFT = 16;
  private static final int PHYSICALLY_CONTIGUOUS = 1;
  private static final int WORD_MASK = 0xFFFF;
  private static final int DNR = Status.DO_NOT_RETRY;

  private final SoftOptions options;
  private final SoftDma dma;
  private final SoftQueues queues;
  private final IntPredicate abort;
  private final byte[] smart = new byte[LogPage.SMART_LENGTH];
  private final Map<Integer, byte[]> vendorLogs = new HashMap<>();
  private final byte[] controller = new byte[IdentifyController.LENGTH];
  private final byte[] namespace = new byte[IdentifyNamespace.LENGTH];
  private final byte[] namespaceList = new byte[IdentifyController.LENGTH];
  private boolean hasNamespaceList = true;
  private int grantedQueues;
  private int result;

  /**
   * The admin side of a device.
   *
   * @param abort takes back a command by dword 10 of Abort; true when it was there
   */
  SoftAdmin(
      final SoftOptions options,
      final SoftDma dma,
      final SoftQueues queues,
      final IntPredicate abort) {
    this.options = options;
    this.dma = dma;
    this.queues = queues;
    this.abort = abort;
    fillController();
    fillNamespace();
    LittleEndian.putInt(namespaceList, 0, NAMESPACE_ID);
    final int zeroBased = options.queuePairMax() - 1;
    grantedQueues = zeroBased | (zeroBased << Short.SIZE);
    LittleEndian.putShort(smart, LogPage.SMART_TEMPERATURE_OFFSET, 300);
    smart[LogPage.SMART_SPARE_OFFSET] = 100;
    smart[LogPage.SMART_SPARE_THRESHOLD_OFFSET] = 10;
  }

  /** The SMART log; a test changes it. */
  byte[] smart() {
    return smart;
  }

  /** Has the log page of a vendor. */
  void vendorLog(final int id, final byte[] page) {
    vendorLogs.put(id, page.clone());
  }

  /** What Identify answers for the controller; a test changes it. */
  byte[] controller() {
    return controller;
  }

  /** What Identify answers for the namespace; a test changes it. */
  byte[] namespace() {
    return namespace;
  }

  /** What Identify answers for ids above 0; a test changes it. */
  byte[] namespaceList() {
    return namespaceList;
  }

  /** As before version 1.1: Identify knows no list of namespaces. */
  void forgetNamespaceList() {
    hasNamespaceList = false;
  }

  /** Dword 0 of what Number of Queues answers. */
  void grantedQueues(final int dword0) {
    grantedQueues = dword0;
  }

  /** Dword 0 of the completion of the command carried out last. */
  int result() {
    return result;
  }

  private void fillController() {
    Arrays.fill(
        controller,
        IdentifyController.SERIAL_OFFSET,
        IdentifyController.FIRMWARE_OFFSET + IdentifyController.FIRMWARE_LENGTH,
        (byte) ' ');
    text(IdentifyController.SERIAL_OFFSET, "SOFT0001");
    text(IdentifyController.MODEL_OFFSET, "device in software");
    text(IdentifyController.FIRMWARE_OFFSET, "1.0");
    LittleEndian.putShort(controller, IdentifyController.VENDOR_ID_OFFSET, 0x1B36);
    controller[IdentifyController.TRANSFER_MAX_OFFSET] = (byte) options.transferShift();
    LittleEndian.putInt(controller, IdentifyController.VERSION_OFFSET, SoftNvmeDevice.VERSION);
    controller[IdentifyController.CONTROLLER_TYPE_OFFSET] = IdentifyController.TYPE_IO_CONTROLLER;
    controller[IdentifyController.SQ_ENTRY_SIZE_OFFSET] =
        (byte) (SubmissionEntry.ENTRY_SHIFT << 4 | SubmissionEntry.ENTRY_SHIFT);
    controller[IdentifyController.CQ_ENTRY_SIZE_OFFSET] =
        (byte) (CompletionEntry.ENTRY_SHIFT << 4 | CompletionEntry.ENTRY_SHIFT);
    LittleEndian.putInt(controller, IdentifyController.NAMESPACE_ID_MAX_OFFSET, NAMESPACE_ID);
    LittleEndian.putShort(
        controller, IdentifyController.NVM_COMMANDS_OFFSET, options.nvmCommands());
    controller[IdentifyController.WRITE_CACHE_OFFSET] = IdentifyController.VWC_PRESENT;
  }

  private void text(final int offset, final String text) {
    final byte[] bytes = text.getBytes(StandardCharsets.US_ASCII);
    System.arraycopy(bytes, 0, controller, offset, bytes.length);
  }

  /** Carries a command out; the status it ends with. */
  int execute(final SoftCommand command) {
    result = 0;
    return switch (command.opcode()) {
      case AdminOpcode.IDENTIFY -> identify(command);
      case AdminOpcode.GET_LOG_PAGE -> getLogPage(command);
      case AdminOpcode.SET_FEATURES, AdminOpcode.GET_FEATURES -> feature(command);
      case AdminOpcode.CREATE_CQ -> createCq(command);
      case AdminOpcode.CREATE_SQ -> createSq(command);
      case AdminOpcode.DELETE_SQ -> deleteSq(command.dword10() & WORD_MASK);
      case AdminOpcode.DELETE_CQ -> deleteCq(command.dword10() & WORD_MASK);
      case AdminOpcode.ABORT -> {
        result = abort.test(command.dword10()) ? 0 : 1;
        yield Status.SUCCESS;
      }
      default -> Status.INVALID_OPCODE | DNR;
    };
  }

  private int answer(final SoftCommand command, final byte[] bytes, final int lengthBytes) {
    return dma.transfer(command.prp1(), command.prp2(), bytes, 0, lengthBytes, true)
        ? Status.SUCCESS
        : Status.DATA_TRANSFER_ERROR;
  }

  private int identify(final SoftCommand command) {
    final byte[] answer = new byte[IdentifyController.LENGTH];
    final boolean isOurs = command.namespaceId() == NAMESPACE_ID;
    switch (command.dword10() & 0xFF) {
      case Cns.CONTROLLER -> System.arraycopy(controller, 0, answer, 0, answer.length);
      case Cns.NAMESPACE -> {
        if (isOurs) {
          System.arraycopy(namespace, 0, answer, 0, answer.length);
        } else if (command.namespaceId() != SubmissionEntry.NAMESPACE_ALL) {
          return Status.INVALID_NAMESPACE_OR_FORMAT | DNR;
        }
      }
      case Cns.ACTIVE_NAMESPACE_LIST -> {
        if (!hasNamespaceList) {
          return Status.INVALID_FIELD | DNR;
        }
        if (command.namespaceId() == 0) {
          System.arraycopy(namespaceList, 0, answer, 0, answer.length);
        }
      }
      case Cns.NAMESPACE_DESCRIPTORS -> {
        if (!isOurs) {
          return Status.INVALID_NAMESPACE_OR_FORMAT | DNR;
        }
      }
      default -> {
        return Status.INVALID_FIELD | DNR;
      }
    }
    return answer(command, answer, answer.length);
  }

  private void fillNamespace() {
    LittleEndian.putLong(namespace, IdentifyNamespace.SIZE_OFFSET, options.blockCount());
    LittleEndian.putLong(namespace, IdentifyNamespace.CAPACITY_OFFSET, options.blockCount());
    LittleEndian.putLong(namespace, IdentifyNamespace.USE_OFFSET, options.blockCount());
    namespace[IdentifyNamespace.FORMAT_0_OFFSET + IdentifyNamespace.FORMAT_BLOCK_SHIFT_OFFSET] =
        (byte) Integer.numberOfTrailingZeros(options.blockBytes());
  }

  private int getLogPage(final SoftCommand command) {
    final int dwords = (command.dword10() >>> 16 | (command.dword11() & WORD_MASK) << 16) + 1;
    final int lengthBytes = Math.min(dwords, 1024) * Integer.BYTES;
    final byte[] answer = new byte[4096];
    switch (command.dword10() & 0xFF) {
      case LogPageId.SMART_HEALTH -> System.arraycopy(smart, 0, answer, 0, smart.length);
      case LogPageId.ERROR_INFORMATION, LogPageId.FIRMWARE_SLOT -> {}
      default -> {
        final byte[] page = vendorLogs.get(command.dword10() & 0xFF);
        if (page == null || command.dword12() < 0 || command.dword12() > page.length) {
          return Status.INVALID_LOG_PAGE | DNR;
        }
        final int wanted = Math.min(answer.length, page.length - command.dword12());
        System.arraycopy(page, command.dword12(), answer, 0, wanted);
      }
    }
    return answer(command, answer, lengthBytes);
  }

  private int feature(final SoftCommand command) {
    if ((command.dword10() & 0xFF) == FeatureId.NUMBER_OF_QUEUES) {
      result = grantedQueues;
    }
    return Status.SUCCESS;
  }

  private int createCq(final SoftCommand command) {
    final int id = command.dword10() & WORD_MASK;
    final int problem = problem(id, command, queues.hasCq(id));
    if (problem == Status.SUCCESS) {
      queues.createCq(id, command.prp1(), entryCount(command));
    }
    return problem;
  }

  private int createSq(final SoftCommand command) {
    final int id = command.dword10() & WORD_MASK;
    final int cqId = command.dword11() >>> CQ_ID_SHIFT;
    final int problem = problem(id, command, queues.hasSq(id));
    if (problem != Status.SUCCESS) {
      return problem;
    }
    if (cqId == 0 || !queues.hasCq(cqId)) {
      return Status.COMPLETION_QUEUE_INVALID | DNR;
    }
    queues.createSq(id, command.prp1(), entryCount(command), cqId);
    return Status.SUCCESS;
  }

  private static int entryCount(final SoftCommand command) {
    return (command.dword10() >>> QUEUE_SIZE_SHIFT) + 1;
  }

  private int problem(final int id, final SoftCommand command, final boolean isThere) {
    if (id == 0 || id > queues.idMax() || isThere) {
      return Status.INVALID_QUEUE_ID | DNR;
    }
    final int entryCount = entryCount(command);
    if (entryCount < 2 || entryCount > options.entryCountMax()) {
      return Status.INVALID_QUEUE_SIZE | DNR;
    }
    final boolean isPlaced =
        (command.dword11() & PHYSICALLY_CONTIGUOUS) != 0 && command.prp1() % 4096 == 0;
    return isPlaced ? Status.SUCCESS : Status.INVALID_FIELD | DNR;
  }

  private int deleteSq(final int id) {
    if (id == 0 || !queues.hasSq(id)) {
      return Status.INVALID_QUEUE_ID | DNR;
    }
    queues.deleteSq(id);
    return Status.SUCCESS;
  }

  private int deleteCq(final int id) {
    if (id == 0 || !queues.hasCq(id)) {
      return Status.INVALID_QUEUE_ID | DNR;
    }
    if (queues.isUsed(id)) {
      return Status.INVALID_QUEUE_DELETION | DNR;
    }
    queues.deleteCq(id);
    return Status.SUCCESS;
  }
}

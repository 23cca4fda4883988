package io.virtnvme.slave.nvme;

import static io.virtnvme.ipc.nvme.SubmissionEntry.DWORD10_OFFSET;
import static io.virtnvme.ipc.nvme.SubmissionEntry.DWORD11_OFFSET;
import static io.virtnvme.ipc.nvme.SubmissionEntry.PRP1_OFFSET;
import static io.virtnvme.ipc.nvme.SubmissionEntry.PRP2_OFFSET;

import io.virtnvme.ipc.nvme.CompletionEntry;
import io.virtnvme.ipc.nvme.ControllerRegisters;
import io.virtnvme.ipc.nvme.PrpEntry;
import io.virtnvme.ipc.nvme.Status;
import io.virtnvme.ipc.nvme.SubmissionEntry;

/**
 * Create and Delete I/O Queue, Doorbell Buffer Config (NVMe over PCIe transport specification and
 * base specification 2.0, 5.4 to 5.8). Functions of state and command.
 */
final class QueueCommands {
  private static final int HALF_SHIFT = 16;
  private static final int HALF_MASK = 0xFFFF;
  private static final int FLAG_CONTIGUOUS = 1;
  private static final int FLAG_INTERRUPTS = 2;
  private static final int FLAGS_MASK = 7;

  private final ControllerConfig config;
  private final QueueHost host;

  QueueCommands(final ControllerConfig config, final QueueHost host) {
    this.config = config;
    this.host = host;
  }

  Decision createCompletionQueue(final ControllerState state, final AdminCommand command) {
    final int queueId = command.dword10() & HALF_MASK;
    final int entryCount = (command.dword10() >>> HALF_SHIFT) + 1;
    final int flags = command.dword11() & FLAGS_MASK;
    final int vector = command.dword11() >>> HALF_SHIFT;
    if (isOutOfRange(queueId) || state.queues().completionQueue(queueId) != null) {
      return Decision.refuse(Status.INVALID_QUEUE_ID, DWORD10_OFFSET);
    }
    if (isBadSize(entryCount)
        || entryShift(state, ControllerRegisters.CC_IOCQES_SHIFT) != CompletionEntry.ENTRY_SHIFT) {
      return Decision.refuse(Status.INVALID_QUEUE_SIZE, AdminCommand.location(DWORD10_OFFSET, 16));
    }
    final boolean hasInterrupts = (flags & FLAG_INTERRUPTS) != 0;
    if (hasInterrupts && vector >= config.vectorCount()) {
      return Decision.refuse(
          Status.INVALID_INTERRUPT_VECTOR, AdminCommand.location(DWORD11_OFFSET, 16));
    }
    final Decision refusal =
        refuseMemory(command, flags, (long) entryCount * CompletionEntry.ENTRY_LENGTH, true);
    if (refusal != null) {
      return refusal;
    }
    final CompletionQueue queue =
        new CompletionQueue(
            queueId,
            entryCount,
            command.prp1(),
            hasInterrupts ? vector : CompletionQueue.NO_INTERRUPT,
            state.queues().nextCreation());
    return Decision.succeed(0)
        .changing(current -> current.with(current.queues().plus(queue)))
        .after((to, whenDone) -> to.startCompletionQueue(queue, whenDone));
  }

  Decision createSubmissionQueue(final ControllerState state, final AdminCommand command) {
    final int queueId = command.dword10() & HALF_MASK;
    final int entryCount = (command.dword10() >>> HALF_SHIFT) + 1;
    final int flags = command.dword11() & FLAGS_MASK;
    final int completionQueueId = command.dword11() >>> HALF_SHIFT;
    if (isOutOfRange(queueId) || state.queues().submissionQueue(queueId) != null) {
      return Decision.refuse(Status.INVALID_QUEUE_ID, DWORD10_OFFSET);
    }
    if (isOutOfRange(completionQueueId)) {
      return Decision.refuse(Status.INVALID_QUEUE_ID, AdminCommand.location(DWORD11_OFFSET, 16));
    }
    if (state.queues().completionQueue(completionQueueId) == null) {
      return Decision.refuse(
          Status.COMPLETION_QUEUE_INVALID, AdminCommand.location(DWORD11_OFFSET, 16));
    }
    if (isBadSize(entryCount)
        || entryShift(state, ControllerRegisters.CC_IOSQES_SHIFT) != SubmissionEntry.ENTRY_SHIFT) {
      return Decision.refuse(Status.INVALID_QUEUE_SIZE, AdminCommand.location(DWORD10_OFFSET, 16));
    }
    final Decision refusal =
        refuseMemory(command, flags, (long) entryCount * SubmissionEntry.ENTRY_LENGTH, false);
    if (refusal != null) {
      return refusal;
    }
    final SubmissionQueue queue =
        new SubmissionQueue(
            queueId, completionQueueId, entryCount, command.prp1(), state.queues().nextCreation());
    return Decision.succeed(0)
        .changing(current -> current.with(current.queues().plus(queue)))
        .after((to, whenDone) -> to.startSubmissionQueue(queue, whenDone));
  }

  private boolean isOutOfRange(final int queueId) {
    return queueId == 0 || queueId > config.queuePairsMax();
  }

  private boolean isBadSize(final int entryCount) {
    return entryCount < 2 || entryCount > config.queueEntriesMax();
  }

  private static int entryShift(final ControllerState state, final int shift) {
    return (state.registers().cc() >>> shift) & ControllerRegisters.CC_ENTRY_SIZE_MASK;
  }

  /** What is wrong with a queue's place, or null. CAP.CQR: queues are contiguous. */
  private Decision refuseMemory(
      final AdminCommand command,
      final int flags,
      final long lengthBytes,
      final boolean isForWriting) {
    if ((flags & FLAG_CONTIGUOUS) == 0) {
      return Decision.refuse(Status.INVALID_FIELD, DWORD11_OFFSET);
    }
    if (PrpEntry.offset(command.prp1()) != 0) {
      return Decision.refuse(Status.INVALID_PRP_OFFSET, PRP1_OFFSET);
    }
    if (!host.isReachable(command.prp1(), lengthBytes, isForWriting)) {
      return Decision.refuse(Status.INVALID_FIELD, PRP1_OFFSET);
    }
    return null;
  }

  Decision deleteSubmissionQueue(final ControllerState state, final AdminCommand command) {
    final int queueId = command.dword10() & HALF_MASK;
    if (queueId == 0 || state.queues().submissionQueue(queueId) == null) {
      return Decision.refuse(Status.INVALID_QUEUE_ID, DWORD10_OFFSET);
    }
    return Decision.succeed(0)
        .before((to, whenDone) -> to.stopSubmissionQueue(queueId, whenDone))
        .changing(current -> current.with(current.queues().withoutSubmissionQueue(queueId)));
  }

  Decision deleteCompletionQueue(final ControllerState state, final AdminCommand command) {
    final int queueId = command.dword10() & HALF_MASK;
    if (queueId == 0 || state.queues().completionQueue(queueId) == null) {
      return Decision.refuse(Status.INVALID_QUEUE_ID, DWORD10_OFFSET);
    }
    if (state.queues().isCompletionQueueUsed(queueId)) {
      return Decision.refuse(Status.INVALID_QUEUE_DELETION, DWORD10_OFFSET);
    }
    return Decision.succeed(0)
        .before((to, whenDone) -> to.stopCompletionQueue(queueId, whenDone))
        .changing(current -> current.with(current.queues().withoutCompletionQueue(queueId)));
  }

  Decision configureDoorbellBuffer(final AdminCommand command) {
    final long shadow = command.prp1();
    final long eventIndex = command.prp2();
    if (PrpEntry.offset(shadow) != 0
        || shadow == 0
        || !host.isReachable(shadow, PrpEntry.PAGE_BYTES, true)) {
      return Decision.refuse(Status.INVALID_FIELD, PRP1_OFFSET);
    }
    if (PrpEntry.offset(eventIndex) != 0
        || eventIndex == 0
        || !host.isReachable(eventIndex, PrpEntry.PAGE_BYTES, true)) {
      return Decision.refuse(Status.INVALID_FIELD, PRP2_OFFSET);
    }
    return Decision.succeed(0)
        .changing(current -> current.withShadowDoorbells(shadow, eventIndex))
        .after((to, whenDone) -> to.shadowDoorbells(shadow, eventIndex, whenDone));
  }
}

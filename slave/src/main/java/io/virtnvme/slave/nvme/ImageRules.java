package io.virtnvme.slave.nvme;

import io.virtnvme.ipc.nvme.ControllerRegisters;
import io.virtnvme.ipc.nvme.PrpEntry;
import io.virtnvme.slave.session.SessionException;
import java.util.HashSet;
import java.util.List;
import java.util.Set;

/**
 * What holds for the state in every controller image. Whoever breaks it wrote no image: a {@link
 * SessionException} says what.
 */
final class ImageRules {
  private static final int STATUS_MAX = 0x7FFF;
  private static final int ID_MAX = 0xFFFF;
  private static final int FEATURE_POWER_MAX = 0xFF;
  private static final int POWER_STATE_MASK = 0x1F;

  private ImageRules() {}

  static void check(final ControllerState state) {
    checkRegisters(state.registers());
    checkQueues(state.queues());
    require(
        !state.registers().isReady() || !state.queues().isEmpty(), "ready without an admin queue");
    checkShadow(state.shadowDoorbellAddress(), state.eventIndexAddress());
    checkFeatures(state.features());
    checkEvents(state.events());
    checkErrors(state.errors());
    checkNamespaces(state.namespaces());
    if (state.executed() != null) {
      requireRange("executed status", state.executed().status(), 0, STATUS_MAX);
      require(state.executed().fetchNumber() >= 0, "executed=" + state.executed().fetchNumber());
    }
    require(state.unsafeShutdowns() >= 0, "unsafe shutdowns=" + state.unsafeShutdowns());
  }

  private static void checkRegisters(final RegisterState registers) {
    require(
        (registers.cc() & ~Registers.CC_KNOWN) == 0,
        "unknown bits: CC=0x" + Integer.toHexString(registers.cc()));
    require(
        (registers.aqa() & ~Registers.AQA_KNOWN) == 0,
        "unknown bits: AQA=0x" + Integer.toHexString(registers.aqa()));
    requirePage("ASQ", registers.asq());
    requirePage("ACQ", registers.acq());
    requireRange("SHST", registers.shutdownStatus(), 0, ControllerRegisters.CSTS_SHST_COMPLETE);
  }

  private static void checkQueues(final QueueTable queues) {
    require(queues.nextCreation() >= 1, "next creation=" + queues.nextCreation());
    final Set<Long> creations = new HashSet<>();
    final Set<Integer> completionQueueIds = new HashSet<>();
    int before = -1;
    for (final CompletionQueue queue : queues.completionQueues()) {
      checkQueue("completion queue", queue.queueId(), before, queue.entryCount());
      before = queue.queueId();
      requirePage("completion queue", queue.guestAddress());
      requireRange(
          "vector",
          queue.vector(),
          CompletionQueue.NO_INTERRUPT,
          ControllerConfig.VECTORS_LIMIT - 1);
      requireCreation(queue.creation(), queues.nextCreation(), creations);
      completionQueueIds.add(queue.queueId());
    }
    before = -1;
    for (final SubmissionQueue queue : queues.submissionQueues()) {
      checkQueue("submission queue", queue.queueId(), before, queue.entryCount());
      before = queue.queueId();
      requirePage("submission queue", queue.guestAddress());
      requireCreation(queue.creation(), queues.nextCreation(), creations);
      require(
          completionQueueIds.contains(queue.completionQueueId())
              && (queue.queueId() == 0) == (queue.completionQueueId() == 0),
          "submission queue "
              + queue.queueId()
              + " with completion queue "
              + queue.completionQueueId());
    }
    require(
        queues.isEmpty()
            || (queues.submissionQueue(0) != null && queues.completionQueue(0) != null),
        "I/O queues without admin queues");
  }

  private static void checkQueue(
      final String what, final int queueId, final int before, final int entryCount) {
    require(
        queueId > before && queueId <= ControllerConfig.QUEUE_PAIRS_LIMIT,
        what + " ids out of order or range: id=" + queueId + " after=" + before);
    requireRange(
        what + " entries",
        entryCount,
        2,
        queueId == 0 ? ControllerConfig.ADMIN_ENTRIES_LIMIT : ControllerConfig.QUEUE_ENTRIES_LIMIT);
  }

  private static void requireCreation(
      final long creation, final long nextCreation, final Set<Long> creations) {
    require(
        creation >= 1 && creation < nextCreation && creations.add(creation),
        "creation=" + creation + " next=" + nextCreation + ", each one unlike the others");
  }

  private static void checkShadow(final long shadow, final long eventIndex) {
    requirePage("shadow doorbells", shadow);
    requirePage("event indices", eventIndex);
    require((shadow == 0) == (eventIndex == 0), "shadow doorbells without event indices");
  }

  private static void checkFeatures(final FeatureState features) {
    requireRange("power management", features.powerManagement(), 0, FEATURE_POWER_MAX);
    require((features.powerManagement() & POWER_STATE_MASK) == 0, "power state other than 0");
    requireRange("temperature", features.temperatureOver(), 0, ID_MAX);
    requireRange("temperature", features.temperatureUnder(), 0, ID_MAX);
    requireRange("write cache", features.writeCache(), 0, 1);
    requireRange("coalescing", features.coalescing(), 0, ID_MAX);
    requireRange("write atomicity", features.writeAtomicity(), 0, 1);
    requireAscending("vector", features.uncoalesced(), 0, ControllerConfig.VECTORS_LIMIT - 1);
  }

  private static void checkEvents(final EventState events) {
    require(
        ((events.pending() | events.masked()) & ~EventType.BITS_KNOWN) == 0,
        "unknown events: pending=" + events.pending() + " masked=" + events.masked());
    requireAscending(
        "changed namespace", events.changedNamespaces(), 1, ControllerConfig.NAMESPACE_ID_LIMIT);
    long before = -1;
    for (final long fetchNumber : events.outstanding()) {
      require(fetchNumber > before, "event request " + fetchNumber + " after " + before);
      before = fetchNumber;
    }
    if (events.completed() != null) {
      final long fetchNumber = events.completed().fetchNumber();
      require(
          fetchNumber >= 0 && !events.isOutstanding(fetchNumber),
          "told event request=" + fetchNumber);
    }
  }

  private static void checkErrors(final ErrorLog errors) {
    require(
        errors.count() >= errors.entries().size(),
        "errors=" + errors.count() + " entries=" + errors.entries().size());
    for (final CommandError error : errors.entries()) {
      requireRange("error's queue", error.queueId(), 0, ID_MAX);
      requireRange("error's command id", error.commandId(), 0, ID_MAX);
      requireRange("error's status", error.status(), 0, STATUS_MAX);
      requireRange("error's location", error.location(), 0, ID_MAX);
    }
  }

  private static void checkNamespaces(final List<ShownNamespace> namespaces) {
    int before = 0;
    for (final ShownNamespace shown : namespaces) {
      require(shown.id() > before, "namespace " + shown.id() + " after " + before);
      before = shown.id();
      final String wrong = shown.namespace().wrong();
      require(wrong == null, wrong);
      requireRange("error recovery", shown.errorRecovery(), 0, ID_MAX);
    }
  }

  private static void requireAscending(
      final String what, final List<Integer> values, final int min, final int max) {
    int before = min - 1;
    for (final int value : values) {
      require(value > before && value <= max, what + " " + value + " after " + before);
      before = value;
    }
  }

  private static void requirePage(final String what, final long address) {
    require(
        PrpEntry.offset(address) == 0,
        what + " does not begin a page: 0x" + Long.toHexString(address));
  }

  static void requireRange(final String what, final int value, final int min, final int max) {
    require(value >= min && value <= max, what + "=" + value + ", allowed " + min + ".." + max);
  }

  static void requireZero(final long value) {
    require(value == 0, "a field that must be zero holds 0x" + Long.toHexString(value));
  }

  static void requireZeroUnless(final boolean isUsed, final long value) {
    if (!isUsed) {
      requireZero(value);
    }
  }

  static void require(final boolean holds, final String text) {
    if (!holds) {
      throw new SessionException("controller image: " + text);
    }
  }
}

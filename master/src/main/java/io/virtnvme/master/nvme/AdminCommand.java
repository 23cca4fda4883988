package io.virtnvme.master.nvme;

import io.virtnvme.ipc.nvme.AdminOpcode;
import io.virtnvme.ipc.nvme.FeatureId;
import io.virtnvme.ipc.nvme.LogPage;
import io.virtnvme.ipc.nvme.LogPageId;
import io.virtnvme.ipc.nvme.SubmissionEntry;

/**
 * An admin command as far as it differs from all zeroes (NVM Express base specification 2.0, 5).
 *
 * @param name for messages
 * @param prp1 address that it names; 0 for one without data
 */
record AdminCommand(
    String name,
    int opcode,
    int namespaceId,
    long prp1,
    int dword10,
    int dword11,
    int dword12,
    int dword13) {
  private static final int CONTIGUOUS = 1;
  private static final int HIGH_SHIFT = 16;

  /** Get Log Page: events that the page belongs to stay. */
  private static final int RETAIN_EVENT = 1 << 15;

  /** One that needs no more than two dwords of its own. */
  AdminCommand(
      final String name,
      final int opcode,
      final int namespaceId,
      final long prp1,
      final int dword10,
      final int dword11) {
    this(name, opcode, namespaceId, prp1, dword10, dword11, 0, 0);
  }

  static AdminCommand identify(final int cns, final int namespaceId, final long prp1) {
    return new AdminCommand("Identify " + cns, AdminOpcode.IDENTIFY, namespaceId, prp1, cns, 0);
  }

  /** Asks for so many queues of each kind, 1..65535. */
  static AdminCommand numberOfQueues(final int count) {
    final int zeroBased = count - 1;
    return new AdminCommand(
        "Set Features (number of queues)",
        AdminOpcode.SET_FEATURES,
        0,
        0,
        FeatureId.NUMBER_OF_QUEUES,
        (zeroBased << HIGH_SHIFT) | zeroBased);
  }

  /** SMART / health information of the controller as a whole. */
  static AdminCommand healthLog(final long prp1) {
    final int dwords = LogPage.SMART_LENGTH / Integer.BYTES - 1;
    return new AdminCommand(
        "Get Log Page (health)",
        AdminOpcode.GET_LOG_PAGE,
        SubmissionEntry.NAMESPACE_ALL,
        prp1,
        (dwords << HIGH_SHIFT) | LogPageId.SMART_HEALTH,
        0);
  }

  /**
   * A part of a log page, a page of memory at most. What is specific to a page is 0: it is read as
   * it is, nothing is collected or released for it.
   */
  static AdminCommand logPage(
      final LogRequest request, final long offsetBytes, final int lengthBytes, final long prp1) {
    final int dwords = lengthBytes / Integer.BYTES - 1;
    return new AdminCommand(
        "Get Log Page 0x" + Integer.toHexString(request.id()),
        AdminOpcode.GET_LOG_PAGE,
        request.namespaceId(),
        prp1,
        (dwords << HIGH_SHIFT) | RETAIN_EVENT | request.id(),
        0,
        (int) offsetBytes,
        (int) (offsetBytes >>> Integer.SIZE));
  }

  /** A completion queue without interrupts. */
  static AdminCommand createCq(final QueuePairAddress pair) {
    return new AdminCommand(
        "Create I/O Completion Queue",
        AdminOpcode.CREATE_CQ,
        0,
        pair.cqIova(),
        ((pair.entryCount() - 1) << HIGH_SHIFT) | pair.queueId(),
        CONTIGUOUS);
  }

  /** A submission queue whose completions go to the queue with its own id. */
  static AdminCommand createSq(final QueuePairAddress pair) {
    return new AdminCommand(
        "Create I/O Submission Queue",
        AdminOpcode.CREATE_SQ,
        0,
        pair.sqIova(),
        ((pair.entryCount() - 1) << HIGH_SHIFT) | pair.queueId(),
        (pair.queueId() << HIGH_SHIFT) | CONTIGUOUS);
  }

  static AdminCommand deleteSq(final int queueId) {
    return new AdminCommand("Delete I/O Submission Queue", AdminOpcode.DELETE_SQ, 0, 0, queueId, 0);
  }

  static AdminCommand deleteCq(final int queueId) {
    return new AdminCommand("Delete I/O Completion Queue", AdminOpcode.DELETE_CQ, 0, 0, queueId, 0);
  }

  /** Asks the controller to give up a command; dword 0 of the answer has bit 0 when it did not. */
  static AdminCommand abort(final int queueId, final int commandId) {
    return new AdminCommand(
        "Abort", AdminOpcode.ABORT, 0, 0, (commandId << HIGH_SHIFT) | queueId, 0);
  }
}

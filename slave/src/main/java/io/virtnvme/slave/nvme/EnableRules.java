package io.virtnvme.slave.nvme;

import io.virtnvme.ipc.nvme.CompletionEntry;
import io.virtnvme.ipc.nvme.ControllerRegisters;
import io.virtnvme.ipc.nvme.SubmissionEntry;

/** With which registers the controller can be enabled (base specification 2.0, 3.1.3 and 3.5.1). */
final class EnableRules {
  private EnableRules() {}

  /**
   * What keeps it from being enabled.
   *
   * @param asked the registers with CC.EN set
   * @param host knows guest memory
   * @return the register and its value, or null when nothing is wrong
   */
  static String wrong(final RegisterState asked, final QueueHost host) {
    final int cc = asked.cc();
    final int commandSet =
        (cc >>> ControllerRegisters.CC_CSS_SHIFT) & ControllerRegisters.CC_CSS_MASK;
    if (commandSet != ControllerRegisters.CC_CSS_NVM
        && commandSet != ControllerRegisters.CC_CSS_ADMIN_ONLY) {
      return "CC.CSS=" + commandSet;
    }
    if (((cc >>> ControllerRegisters.CC_MPS_SHIFT) & ControllerRegisters.CC_MPS_MASK) != 0
        || ((cc >>> ControllerRegisters.CC_AMS_SHIFT) & ControllerRegisters.CC_AMS_MASK) != 0) {
      return "CC.MPS or CC.AMS is not 0: CC=0x" + Integer.toHexString(cc);
    }
    if (asked.adminSubmissionEntries() < 2 || asked.adminCompletionEntries() < 2) {
      return "an admin queue needs two entries: AQA=0x" + Integer.toHexString(asked.aqa());
    }
    final long submissionBytes =
        (long) asked.adminSubmissionEntries() * SubmissionEntry.ENTRY_LENGTH;
    final long completionBytes =
        (long) asked.adminCompletionEntries() * CompletionEntry.ENTRY_LENGTH;
    if (!host.isReachable(asked.asq(), submissionBytes, false)
        || !host.isReachable(asked.acq(), completionBytes, true)) {
      return "an admin queue is not in guest memory: ASQ=0x"
          + Long.toHexString(asked.asq())
          + " ACQ=0x"
          + Long.toHexString(asked.acq());
    }
    return null;
  }
}

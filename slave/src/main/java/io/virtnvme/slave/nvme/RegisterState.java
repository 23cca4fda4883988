package io.virtnvme.slave.nvme;

import io.virtnvme.ipc.nvme.ControllerRegisters;

/**
 * The registers that are not constant; immutable.
 *
 * @param cc controller configuration, as written
 * @param aqa admin queue attributes, as written
 * @param asq guest address of the admin submission queue
 * @param acq guest address of the admin completion queue
 * @param interruptMask INTMS and INTMC
 * @param isReady CSTS.RDY
 * @param isFatal CSTS.CFS
 * @param shutdownStatus CSTS.SHST
 */
record RegisterState(
    int cc,
    int aqa,
    long asq,
    long acq,
    int interruptMask,
    boolean isReady,
    boolean isFatal,
    int shutdownStatus) {
  static final RegisterState INITIAL = new RegisterState(0, 0, 0, 0, 0, false, false, 0);

  boolean isEnabled() {
    return (cc & ControllerRegisters.CC_EN) != 0;
  }

  int shutdownNotification() {
    return (cc >>> ControllerRegisters.CC_SHN_SHIFT) & ControllerRegisters.CC_SHN_MASK;
  }

  /** Entries of the admin submission queue. */
  int adminSubmissionEntries() {
    return (aqa & ControllerRegisters.AQA_ASQS_MASK) + 1;
  }

  /** Entries of the admin completion queue. */
  int adminCompletionEntries() {
    return ((aqa >>> ControllerRegisters.AQA_ACQS_SHIFT) & ControllerRegisters.AQA_ACQS_MASK) + 1;
  }

  /** Value of CSTS. */
  int status() {
    return (isReady ? ControllerRegisters.CSTS_RDY : 0)
        | (isFatal ? ControllerRegisters.CSTS_CFS : 0)
        | (shutdownStatus << ControllerRegisters.CSTS_SHST_SHIFT);
  }

  RegisterState withCc(final int newCc) {
    return new RegisterState(newCc, aqa, asq, acq, interruptMask, isReady, isFatal, shutdownStatus);
  }

  RegisterState withAdminQueues(final int newAqa, final long newAsq, final long newAcq) {
    return new RegisterState(
        cc, newAqa, newAsq, newAcq, interruptMask, isReady, isFatal, shutdownStatus);
  }

  RegisterState withInterruptMask(final int newMask) {
    return new RegisterState(cc, aqa, asq, acq, newMask, isReady, isFatal, shutdownStatus);
  }

  RegisterState withStatus(
      final boolean newReady, final boolean newFatal, final int newShutdownStatus) {
    return new RegisterState(
        cc, aqa, asq, acq, interruptMask, newReady, newFatal, newShutdownStatus);
  }
}

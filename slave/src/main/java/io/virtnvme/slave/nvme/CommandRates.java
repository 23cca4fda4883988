package io.virtnvme.slave.nvme;

import io.virtnvme.slave.bdev.RateGate;

/**
 * What the rate limits of a controller's disks let its commands do. Nothing here is asked while no
 * disk is limited, but {@link #find}. One reactor thread; the data path's calls do not allocate.
 */
final class CommandRates {
  private NamespaceChannels namespaces;

  /** As it was when commands were looked for. */
  private boolean isOn;

  /** Place at the gate of the namespace that the last command was admitted for. */
  private RateGate.Place admitted;

  private long admittedNs;

  /**
   * The namespace of a command that was admitted for another one, since the guest changed it in
   * between: before that one's disk admits one more, nothing is admitted.
   */
  private RateGate.Place bypassed;

  void namespaces(final NamespaceChannels newNamespaces) {
    namespaces = newNamespaces;
  }

  /** Finds out whether any disk is limited; the other answers hold until this is called again. */
  boolean find() {
    isOn = namespaces.isLimited();
    return isOn;
  }

  boolean isOn() {
    return isOn;
  }

  /** Whether a command for this namespace, valid or not, may be fetched now. */
  boolean isAdmitted(final int namespaceId, final long nowNs) {
    if (bypassed != null) {
      if (!bypassed.admits(nowNs)) {
        return false;
      }
      bypassed = null;
    }
    final RateGate.Place rate = namespaces.limitedRate(namespaceId);
    if (rate != null && rate == admitted && admittedNs == nowNs) {
      return rate.goesOn(nowNs);
    }
    if (rate != null && !rate.admits(nowNs)) {
      return false;
    }
    admitted = rate;
    admittedNs = nowNs;
    return true;
  }

  /** When a command for this namespace may be fetched. */
  long dueNs(final int namespaceId) {
    final RateGate.Place rate = isOn ? namespaces.limitedRate(namespaceId) : null;
    final long due = rate == null ? Long.MIN_VALUE : rate.dueNs();
    return bypassed == null ? due : Math.max(due, bypassed.dueNs());
  }

  /** A command that was checked begins. */
  void charge(final NvmeCommandTask task, final long nowNs) {
    final RateGate.Place rate = namespaces.limitedRate(task.namespaceId);
    if (rate != null) {
      rate.charge(task.operation, task.dataBytes, nowNs);
      if (rate != admitted) {
        bypassed = rate;
      }
    }
  }
}

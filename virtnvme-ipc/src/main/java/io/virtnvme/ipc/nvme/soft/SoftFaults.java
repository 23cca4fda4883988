package io.virtnvme.ipc.nvme.soft;

import io.virtnvme.ipc.nvme.Status;
import java.util.ArrayList;
import java.util.List;

/** What is to go wrong in a device in software; a test sets it. Any thread, one at a time. */
public final class SoftFaults {
  /** Every opcode. */
  public static final int ANY = -1;

  private record StatusFault(boolean isAdmin, int opcode, int status, int count) {}

  private final List<StatusFault> statuses = new ArrayList<>();
  private boolean isHolding;
  private int lostCount;
  private int doubledCount;

  /** I/O commands are read, and neither carried out nor completed, until this is false again. */
  public synchronized void hold(final boolean on) {
    isHolding = on;
  }

  synchronized boolean isHolding() {
    return isHolding;
  }

  /** The next I/O commands are never completed, nor carried out. */
  public synchronized void loseNext(final int count) {
    lostCount = count;
  }

  /** The next I/O commands are completed twice. */
  public synchronized void doubleNext(final int count) {
    doubledCount = count;
  }

  /**
   * The next commands with this opcode end with this status, and are not carried out.
   *
   * @param opcode or {@link #ANY}
   */
  public synchronized void failNext(
      final boolean isAdmin, final int opcode, final int status, final int count) {
    statuses.add(new StatusFault(isAdmin, opcode, status, count));
  }

  synchronized boolean takeLost() {
    return lostCount > 0 && lostCount-- > 0;
  }

  synchronized boolean takeDoubled() {
    return doubledCount > 0 && doubledCount-- > 0;
  }

  synchronized int takeStatus(final SoftCommand command) {
    for (int i = 0; i < statuses.size(); i++) {
      final StatusFault fault = statuses.get(i);
      if (fault.isAdmin() == (command.sqId() == 0)
          && (fault.opcode() == ANY || fault.opcode() == command.opcode())) {
        if (fault.count() == 1) {
          statuses.remove(i);
        } else {
          statuses.set(
              i,
              new StatusFault(fault.isAdmin(), fault.opcode(), fault.status(), fault.count() - 1));
        }
        return fault.status();
      }
    }
    return Status.SUCCESS;
  }
}

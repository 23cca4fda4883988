package io.virtnvme.ipc.nvme.soft;

import io.virtnvme.ipc.nvme.Status;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;

/** What is to go wrong in a device in software; a test sets it. Any thread, one at a time. */
public final class SoftFaults {
  private static final long NEVER = Long.MAX_VALUE;

  /** Every opcode. */
  public static final int ANY = -1;

  private record StatusFault(boolean isAdmin, int opcode, int status, int count) {}

  private final List<StatusFault> statuses = new ArrayList<>();
  private boolean isHolding;
  private int lostCount;
  private int doubledCount;
  private final Map<Integer, Integer> lostAdmin = new HashMap<>();
  private int doubledAdminCount;
  private int wrongPhaseCount;
  private boolean isRefusingAborts;
  private boolean isStayingReady;
  private boolean isDeafToShutdown;
  private long registerAccessesLeft = NEVER;
  private Runnable atRegisterAccess = () -> {};

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

  /** The next admin commands with this opcode are read and not completed, unless aborted. */
  public synchronized void loseNextAdmin(final int opcode, final int count) {
    lostAdmin.put(opcode, count);
  }

  /** The next admin commands are completed twice. */
  public synchronized void doubleNextAdmin(final int count) {
    doubledAdminCount = count;
  }

  /** The next completions, of any queue, have the phase tag of the lap before. */
  public synchronized void wrongPhaseNext(final int count) {
    wrongPhaseCount = count;
  }

  /** Abort answers that it did nothing, and does nothing. */
  public synchronized void refuseAborts(final boolean on) {
    isRefusingAborts = on;
  }

  /** CSTS.RDY stays when CC.EN is cleared. */
  public synchronized void stayReady(final boolean on) {
    isStayingReady = on;
  }

  /** CSTS.SHST does not follow CC.SHN. */
  public synchronized void ignoreShutdown(final boolean on) {
    isDeafToShutdown = on;
  }

  /**
   * Something happens at the access to a register, read or store, that comes after so many others;
   * it happens before that access.
   */
  public synchronized void atRegisterAccess(final long count, final Runnable what) {
    registerAccessesLeft = count;
    atRegisterAccess = what;
  }

  synchronized void onRegisterAccess() {
    if (registerAccessesLeft != NEVER && registerAccessesLeft-- == 0) {
      registerAccessesLeft = NEVER;
      atRegisterAccess.run();
    }
  }

  synchronized boolean takeLostAdmin(final int opcode) {
    final int left = lostAdmin.getOrDefault(opcode, 0);
    if (left > 0) {
      lostAdmin.put(opcode, left - 1);
    }
    return left > 0;
  }

  synchronized boolean takeDoubledAdmin() {
    return doubledAdminCount > 0 && doubledAdminCount-- > 0;
  }

  synchronized boolean takeWrongPhase() {
    return wrongPhaseCount > 0 && wrongPhaseCount-- > 0;
  }

  synchronized boolean isRefusingAborts() {
    return isRefusingAborts;
  }

  synchronized boolean isStayingReady() {
    return isStayingReady;
  }

  synchronized boolean isDeafToShutdown() {
    return isDeafToShutdown;
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

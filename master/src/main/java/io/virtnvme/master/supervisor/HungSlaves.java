package io.virtnvme.master.supervisor;

import io.virtnvme.master.relay.EventLoop;
import io.virtnvme.master.relay.MasterCounters;

/**
 * What becomes of slaves that the {@link Watchdog} finds: evidence is saved while one is suspect,
 * and one that hangs is killed, so that its successor gets the seat. Conductor thread.
 */
final class HungSlaves implements Watchdog.Actions, AutoCloseable {
  /** How much of the hang limit a kill waits for evidence at most: a quarter. */
  private static final int EVIDENCE_SHARE = 4;

  private final SupervisorConfig config;
  private final EventLoop loop;
  private final Slaves slaves;
  private final RecoveryLog recoveries;
  private final HangEvidence evidence;
  private final Runnable onChanged;

  /** {@code onChanged} is told when a slave's state is different. */
  HungSlaves(
      final SupervisorConfig config,
      final EventLoop loop,
      final MasterCounters counters,
      final Slaves slaves,
      final RecoveryLog recoveries,
      final RecentEvents history,
      final Runnable onChanged) {
    this.config = config;
    this.loop = loop;
    this.slaves = slaves;
    this.recoveries = recoveries;
    this.evidence = new HangEvidence(config, loop, counters, history);
    this.onChanged = onChanged;
  }

  @Override
  public EvidenceCase suspect(final Slave slave, final Seat seat, final String reason) {
    return evidence.begin(slave, seat, slaves.logFile(slave), reason);
  }

  @Override
  public void clear(final EvidenceCase found) {
    evidence.drop(found);
  }

  @Override
  public void onHung(final Slave slave, final String reason, final EvidenceCase found) {
    recoveries.onHung(slave.pid(), found.folder());
    // Saved long ago, as a rule; a disk that hangs may hold up the evidence, and not the guests.
    found.whenSaved(() -> kill(slave, reason, found));
    loop.after(config.hangNsMax() / EVIDENCE_SHARE, () -> kill(slave, reason, found));
  }

  private void kill(final Slave slave, final String reason, final EvidenceCase found) {
    if (slave.state().isLive()) {
      slaves.kill(slave, reason + "; evidence in " + found.folder());
      onChanged.run();
    }
  }

  @Override
  public void close() {
    evidence.close();
  }
}

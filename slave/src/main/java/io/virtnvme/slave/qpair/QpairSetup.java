package io.virtnvme.slave.qpair;

import io.virtnvme.ipc.qpair.QpairSegment;
import io.virtnvme.ipc.relay.BdevHold;
import io.virtnvme.ipc.segment.SessionSegment;
import io.virtnvme.ipc.sys.Pages;
import io.virtnvme.slave.bdev.Bdev;
import io.virtnvme.slave.bdev.ReactorIo;
import io.virtnvme.slave.ring.RingAgent;
import io.virtnvme.slave.ring.RingSetup;

/**
 * All that a reactor needs to serve one queue pair; immutable.
 *
 * @param sessionId the client's session
 * @param entryCount of either queue, as the record says
 * @param poolLength bytes, as the record says
 * @param segmentAddress host address of the memory shared with the client
 * @param journalAddress host address of the journal, which the client does not have
 * @param kickFd eventfd that the client signals
 * @param callFd eventfd that wakes the client
 * @param countersAddress the queue's block of counters in the session segment
 * @param bdev the disk
 * @param readOnly refuse writes
 */
public record QpairSetup(
    long sessionId,
    int entryCount,
    long poolLength,
    long segmentAddress,
    long journalAddress,
    int kickFd,
    int callFd,
    long countersAddress,
    Bdev bdev,
    boolean readOnly)
    implements RingSetup {
  @Override
  public int queueIndex() {
    return 0;
  }

  @Override
  public boolean needsFence() {
    return bdev.needsFence();
  }

  @Override
  public boolean tryFence() {
    return bdev.tryFence();
  }

  @Override
  public boolean isHeld(final Bdev of, final BdevHold.Who who) {
    return of == bdev && who == BdevHold.Who.WRITERS && !readOnly;
  }

  @Override
  public RingAgent makeAgent(final ReactorIo io, final int ringSlot) {
    // What a takeover uses at once: a standby has never touched it.
    Pages.populate(segmentAddress, QpairSegment.poolOffset(entryCount));
    Pages.populate(journalAddress, QpairJournal.length(entryCount));
    Pages.populate(countersAddress, SessionSegment.QUEUE_LENGTH);
    return new QpairAgent(this, bdev.channel(io), bdev.limits().gate(io), ringSlot);
  }
}

package io.virtnvme.slave.nvme;

import io.virtnvme.ipc.relay.BdevHold;
import io.virtnvme.slave.bdev.Bdev;
import io.virtnvme.slave.bdev.ReactorIo;
import io.virtnvme.slave.ring.RingAgent;
import io.virtnvme.slave.ring.RingSetup;
import java.util.List;

/**
 * All that a reactor needs to serve one completion queue with all submission queues that complete
 * into it: they are recovered together, so they are one ring of the reactor. Immutable.
 *
 * @param context what it shares with the controller's other queues
 * @param completion the completion queue; its id is the ring's index
 * @param submissions its submission queues, those that the image has
 * @param memory guest memory at the time
 * @param callFd eventfd of its interrupt vector, -1 for none
 * @param volumes the namespaces at the time
 * @param shadowAddress guest address of the shadow doorbells, or 0
 * @param eventIndexAddress guest address of the event indices, or 0
 * @param isWriteCacheOn false makes every write durable before it completes
 * @param queueTableVersion of the image that this was made from
 */
public record NvmeQueueSetup(
    QueueContext context,
    CompletionQueue completion,
    List<SubmissionQueue> submissions,
    DmaMemory memory,
    int callFd,
    List<NamespaceVolume> volumes,
    long shadowAddress,
    long eventIndexAddress,
    boolean isWriteCacheOn,
    int queueTableVersion)
    implements RingSetup {
  @Override
  public long sessionId() {
    return context.sessionId();
  }

  @Override
  public int queueIndex() {
    return completion.queueId();
  }

  @Override
  public int kickFd() {
    return -1;
  }

  /** Doorbells that come as messages are commands to the reactor. */
  @Override
  public boolean isPolledOnly() {
    return context.isDoorbellMapped();
  }

  /** The admin queue touches no disk; its commands need not wait. */
  @Override
  public boolean needsFence() {
    if (completion.queueId() == 0) {
      return false;
    }
    for (final NamespaceVolume volume : volumes) {
      if (volume.bdev().needsFence()) {
        return true;
      }
    }
    return false;
  }

  @Override
  public boolean tryFence() {
    for (final NamespaceVolume volume : volumes) {
      if (volume.bdev().needsFence() && !volume.bdev().tryFence()) {
        return false;
      }
    }
    return true;
  }

  @Override
  public boolean isHeld(final Bdev bdev, final BdevHold.Who who) {
    return completion.queueId() != 0
        && who != BdevHold.Who.NOBODY
        && volumes.stream().anyMatch(volume -> volume.bdev() == bdev);
  }

  @Override
  public boolean isCurrent() {
    return context.area().queueTableVersion() == queueTableVersion;
  }

  @Override
  public RingAgent makeAgent(final ReactorIo io, final int ringSlot) {
    return new NvmeQueueAgent(this, io, ringSlot);
  }
}

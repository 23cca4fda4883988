package io.virtnvme.slave.virtqueue;

import io.virtnvme.ipc.memory.Mem;
import io.virtnvme.ipc.segment.SessionSegment.QueueCounter;
import io.virtnvme.slave.ring.RingAgent;

/**
 * A virtqueue as a ring of a reactor. A class of its own, in front of the two layouts, because the
 * reactor's calls stay cheap as long as they meet one class per front-end. One reactor thread.
 */
public final class VirtqueueRing implements RingAgent {
  private final VirtqueueAgent agent;

  VirtqueueRing(final VirtqueueAgent agent) {
    this.agent = agent;
  }

  /** Takes over a new memory map, dirty log and feature bits: {@link VirtqueueAgent#update}. */
  public void update(final GuestMemory memory, final DirtyLog log, final long features) {
    agent.update(memory, log, features);
  }

  /** Takes over a new call descriptor; -1 for none. */
  public void updateCall(final int fd) {
    agent.updateCall(fd);
  }

  /** Sets the cache mode: {@link VirtqueueAgent#writeback}. */
  public void writeback(final boolean on) {
    agent.writeback(on);
  }

  /** The set-up as updated last. */
  public QueueSetup setup() {
    return agent.setup();
  }

  @Override
  public int start(final long nowNs) {
    agent.nowNs(nowNs);
    return agent.start();
  }

  @Override
  public int poll(final long nowNs, final int limit) {
    agent.nowNs(nowNs);
    return agent.poll(limit);
  }

  @Override
  public void onIoEnd(final int tag, final int result) {
    agent.onIoEnd(tag, result);
  }

  @Override
  public int flush() {
    return agent.flush();
  }

  @Override
  public boolean isBroken() {
    return agent.isBroken();
  }

  @Override
  public String brokenReason() {
    return agent.brokenReason();
  }

  @Override
  public boolean armKicks() {
    return agent.armKicks();
  }

  @Override
  public long pollDueNs() {
    return agent.pollDueNs();
  }

  @Override
  public void disarmKicks() {
    agent.disarmKicks();
  }

  @Override
  public void onKick() {
    agent.onKick();
  }

  @Override
  public int inFlightCount() {
    return agent.inFlightCount();
  }

  @Override
  public int heldByChannelCount() {
    return agent.heldByChannelCount();
  }

  @Override
  public int base() {
    return agent.base();
  }

  @Override
  public boolean isMemoryCutShort() {
    return agent.setup().memory().isCutShort();
  }

  @Override
  public boolean usesPreviousMemory() {
    return agent.usesPreviousMemory();
  }

  @Override
  public int recoverInPlace() {
    return agent.recoverInPlace();
  }

  @Override
  public boolean awaitsIdle() {
    return agent.awaitsIdle();
  }

  @Override
  public void onChannelIdle() {
    agent.onChannelIdle();
  }

  @Override
  public long completedCount() {
    final long counters = agent.setup().countersAddress();
    return Mem.getLong(counters + QueueCounter.READ_OPS.offsetBytes())
        + Mem.getLong(counters + QueueCounter.WRITE_OPS.offsetBytes())
        + Mem.getLong(counters + QueueCounter.FLUSH_OPS.offsetBytes());
  }

  @Override
  public void free() {
    agent.free();
  }
}

package io.virtnvme.slave.bdev;

import io.virtnvme.ipc.memory.MemoryRange;
import io.virtnvme.ipc.relay.BdevDescription;
import java.util.List;

/**
 * A block device opened by this process. Opened on the control thread (by an active slave, and
 * beforehand by a standby); opening changes nothing on the device and takes no lock.
 */
public interface Bdev extends AutoCloseable {
  /** The description with the actual block count. */
  BdevDescription description();

  /**
   * True when a dead owner's requests may still run in the kernel, so that {@link #tryFence}
   * decides when they ended.
   */
  boolean needsFence();

  /**
   * Tries to take the lock that the owner of the device holds on the open file description of its
   * I/O. Once true it stays ours until {@link #close}. Always true for devices without kernel I/O.
   * Any thread, one at a time; a system call until it is true, never blocks.
   */
  boolean tryFence();

  /**
   * Who holds the lock that {@link #tryFence} waits for, for messages to people: {@code "process
   * 4711 (qemu-img)"}. Control thread.
   */
  default String fenceHolder() {
    return "nobody";
  }

  /**
   * A channel for the reactor that owns {@code io}. Called on that reactor's thread, or on any
   * before that thread uses {@code io}; queues of one reactor share the channel.
   */
  BlockChannel channel(ReactorIo io);

  /**
   * Takes over a new length after the device was resized; {@link BdevException} when the device
   * does not have it. Control thread; running requests are not disturbed.
   */
  void resize(long blockCount);

  /** How much of it may be used; the same object as long as the device is open. Any thread. */
  default RateLimits limits() {
    return RateLimits.OFF;
  }

  /** Where its changes are marked; null for a device that has no content. Any thread. */
  default DirtyTracking tracking() {
    return null;
  }

  /** Where this process has mapped its blocks; empty for a device elsewhere. Control thread. */
  default List<MemoryRange> memory() {
    return List.of();
  }

  /** Lets go of device and lock. No queue of the device runs any more and none is in flight. */
  @Override
  void close();
}

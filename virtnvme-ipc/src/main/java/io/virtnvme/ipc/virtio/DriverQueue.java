package io.virtnvme.ipc.virtio;

import io.virtnvme.ipc.disk.DiskQueue;

/**
 * The driver's side of one virtio-blk ring, as a guest would play it. Types and statuses are those
 * of {@link BlkRequest}; unknown types are passed on.
 *
 * <p>It works on a range of memory that the back-end sees under guest addresses: descriptors,
 * rings, indirect tables, headers and status bytes lie there.
 */
public interface DriverQueue extends DiskQueue {

  /** Guest address of the descriptor table (split) or descriptor ring (packed). */
  long descriptorGuestAddress();

  /** Guest address of the avail ring (split) or the driver's event suppression (packed). */
  long driverAreaGuestAddress();

  /** Guest address of the used ring (split) or the device's event suppression (packed). */
  long deviceAreaGuestAddress();

  /** The base to give with VHOST_USER_SET_VRING_BASE for this ring as it was constructed. */
  int initialBase();

  /** Bytes that the device says it wrote, of a finished request. */
  int usedLength(int token);

  /**
   * Asks the device to signal the next completion.
   *
   * @return true if one is there already: poll again, no signal may come for it
   */
  boolean enableCalls();

  /** Asks the device not to signal; it still may. */
  void disableCalls();
}

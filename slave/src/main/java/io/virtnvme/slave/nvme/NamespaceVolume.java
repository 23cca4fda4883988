package io.virtnvme.slave.nvme;

import io.virtnvme.slave.bdev.Bdev;

/**
 * A namespace and the disk behind it, opened by this process.
 *
 * @param bdev stays open until no reactor uses it
 * @param countersAddress host address of the disk's counters in the session segment; 0 for none
 */
public record NamespaceVolume(Namespace namespace, Bdev bdev, long countersAddress) {
  /** One whose I/O counts for its queues alone. */
  public NamespaceVolume(final Namespace namespace, final Bdev bdev) {
    this(namespace, bdev, 0);
  }
}

package io.virtnvme.tools.pair;

/** What a guest, or another process, sees of a disk. */
public enum FrontEnd {
  /** A virtio-blk disk, over vhost-user. */
  BLK,
  /** An NVMe controller, over vfio-user. */
  NVME,
  /** A queue pair of a secondary. */
  QPAIR
}

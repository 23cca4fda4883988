package io.virtnvme.tools.pair;

/** What a guest sees of a disk. */
public enum FrontEnd {
  /** A virtio-blk disk, over vhost-user. */
  VHOST,
  /** An NVMe controller, over vfio-user. */
  NVME
}

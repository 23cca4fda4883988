package io.virtnvme.master.rpc;

/** What holds a bdev's data. */
public enum BdevKind {
  /** A tmpfs file that the master owns; survives slaves, not the host. */
  MEM,
  /** A file or block device through io_uring with O_DIRECT. */
  URING,
  /** A namespace of an NVMe device that the master has taken from the kernel. */
  NVME,
  /** Nothing: reads give zeroes, writes are dropped. */
  NULL
}

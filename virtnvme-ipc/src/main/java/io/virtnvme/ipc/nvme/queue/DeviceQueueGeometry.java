package io.virtnvme.ipc.nvme.queue;

/**
 * What a slave must know of a queue pair and of the disk behind it; the master writes it once. A
 * disk is a run of blocks of one namespace.
 *
 * @param entryCount entries of the submission queue and of the completion queue: 2..4096
 * @param slotCount commands in flight at most: 1..entryCount - 1, so neither queue can overflow
 * @param queueId id of both queues: 1..65535
 * @param namespaceId which namespace
 * @param iova where the device sees the first byte of the segment; a multiple of 4096
 * @param firstBlock where the disk begins in the namespace
 * @param blockCount blocks of the disk
 * @param blockBytes 512..4096, a power of two
 * @param transferBytesMax data of one command at most (MDTS); at least 4096, a multiple of it
 * @param features bits of FEATURE constants
 */
public record DeviceQueueGeometry(
    int entryCount,
    int slotCount,
    int queueId,
    int namespaceId,
    long iova,
    long firstBlock,
    long blockCount,
    int blockBytes,
    int transferBytesMax,
    int features) {
  /** The device has a volatile write cache. */
  public static final int FEATURE_WRITE_CACHE = 1;

  /** The device knows Write Zeroes. */
  public static final int FEATURE_WRITE_ZEROES = 1 << 1;

  /** The device knows Dataset Management. */
  public static final int FEATURE_DATASET_MANAGEMENT = 1 << 2;

  public static final int ENTRY_COUNT_MIN = 2;
  public static final int ENTRY_COUNT_MAX = 4096;

  private static final int QUEUE_ID_MAX = 0xFFFF;
  private static final int BLOCK_BYTES_MIN = 512;
  private static final int PAGE_BYTES = 4096;

  /** Null when every number is in its range, else a sentence with the first one that is not. */
  public String problem() {
    if (entryCount < ENTRY_COUNT_MIN || entryCount > ENTRY_COUNT_MAX) {
      return "queue entries must be 2..4096: " + entryCount;
    }
    if (slotCount < 1 || slotCount >= entryCount) {
      return "slots must be 1.." + (entryCount - 1) + ": " + slotCount;
    }
    if (queueId < 1 || queueId > QUEUE_ID_MAX) {
      return "queue id must be 1..65535: " + queueId;
    }
    if (iova % PAGE_BYTES != 0) {
      return "iova must be a multiple of 4096: 0x" + Long.toHexString(iova);
    }
    if (blockBytes < BLOCK_BYTES_MIN
        || blockBytes > PAGE_BYTES
        || Integer.bitCount(blockBytes) != 1) {
      return "block size must be a power of two, 512..4096: " + blockBytes;
    }
    if (firstBlock < 0
        || blockCount < 0
        || blockCount > Long.MAX_VALUE / blockBytes
        || firstBlock > Long.MAX_VALUE - blockCount) {
      return "blocks out of range: first=" + firstBlock + " count=" + blockCount;
    }
    if (transferBytesMax < PAGE_BYTES || transferBytesMax % PAGE_BYTES != 0) {
      return "bytes of a command must be a multiple of 4096: " + transferBytesMax;
    }
    return null;
  }

  /** Whether the device has this feature. */
  public boolean has(final int feature) {
    return (features & feature) != 0;
  }
}

package io.virtnvme.ipc.nvme;

/**
 * Doorbells in BAR0 (NVMe over PCIe transport specification 1.0, 3.1.2), with a stride of 4 bytes:
 * for each queue id the tail of the submission queue, then the head of the completion queue.
 *
 * <pre>
 *  0x1000   SQ 0 tail (4)
 *  0x1004   CQ 0 head (4)
 *  0x1008   SQ 1 tail (4)
 *  0x100C   CQ 1 head (4)          ...
 * </pre>
 *
 * The shadow doorbell and event index buffers (base specification 2.0, 5.8) have the same order and
 * stride and begin with queue 0.
 */
public final class Doorbells {
  /** Offset of the first doorbell in BAR0. */
  public static final int BASE_OFFSET = 0x1000;

  /** CAP.DSTRD. */
  public static final int STRIDE_CODE = 0;

  public static final int STRIDE_BYTES = Integer.BYTES << STRIDE_CODE;
  public static final int PAIR_BYTES = 2 * STRIDE_BYTES;

  /** What counts of a value that a driver stores; the rest is reserved. */
  public static final int VALUE_MASK = 0xFFFF;

  private Doorbells() {}

  /** Offset from the first doorbell of the tail of a submission queue. */
  public static int sqTailOffset(final int queueId) {
    return queueId * PAIR_BYTES;
  }

  /** Offset from the first doorbell of the head of a completion queue. */
  public static int cqHeadOffset(final int queueId) {
    return queueId * PAIR_BYTES + STRIDE_BYTES;
  }

  /** Which queue the doorbell at this offset from the first one is for. */
  public static int queueId(final int offset) {
    return offset / PAIR_BYTES;
  }

  /** Whether the doorbell at this offset from the first one is a completion queue's head. */
  public static boolean isCqHead(final int offset) {
    return ((offset / STRIDE_BYTES) & 1) != 0;
  }

  /** Bytes of the doorbells of queues 0 to {@code queueIdMax}. */
  public static int lengthBytes(final int queueIdMax) {
    return (queueIdMax + 1) * PAIR_BYTES;
  }
}

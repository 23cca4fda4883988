package io.virtnvme.slave.bdev;

/**
 * A controller of the master as this process reaches it. Used on the control thread; what it
 * answers stays valid as long as a disk of it is open.
 */
public interface NvmeController {
  /** Host address of the tail doorbell of a submission queue. */
  long sqTailAddress(int queueId);

  /** Host address of the head doorbell of a completion queue. */
  long cqHeadAddress(int queueId);

  /** Where the device sees guest memory. */
  DmaMap dma();
}

package io.virtnvme.master.rpc;

/**
 * A block controller as it was asked for.
 *
 * @param ctrlr name, also the name of its socket; same syntax as a bdev's
 * @param devName the bdev that it exports
 * @param cpumask hexadecimal mask of acceptable cores with leading 0x, or empty for any
 * @param readOnly whether the device is offered with VIRTIO_BLK_F_RO
 * @param packedRing whether VIRTIO_F_RING_PACKED is offered
 * @param numQueues largest number of queues offered, 1 to 64; 0 for the default
 * @param transport what is spoken on its socket
 */
public record BlkControllerSpec(
    String ctrlr,
    String devName,
    String cpumask,
    boolean readOnly,
    boolean packedRing,
    int numQueues,
    BlkTransport transport) {
  /** A vhost-user-blk controller. */
  public BlkControllerSpec(
      final String ctrlr,
      final String devName,
      final String cpumask,
      final boolean readOnly,
      final boolean packedRing,
      final int numQueues) {
    this(ctrlr, devName, cpumask, readOnly, packedRing, numQueues, BlkTransport.VHOST_USER_BLK);
  }
}

package io.virtnvme.master.rpc;

/**
 * The VFIOUSER transport as it was asked for.
 *
 * @param maxQueueDepth entries of one queue that a controller allows, 2..65536
 * @param maxIoQueuePairs pairs of I/O queues that a controller allows, 1..64
 * @param disableMappableBar0 front-ends may not map the doorbells
 * @param disableShadowDoorbells Doorbell Buffer Config is not offered
 */
public record NvmfTransportSpec(
    int maxQueueDepth,
    int maxIoQueuePairs,
    boolean disableMappableBar0,
    boolean disableShadowDoorbells) {}

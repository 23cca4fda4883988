/**
 * Virtio rings and the virtio-blk device as they lie in guest memory, and the driver's side of the
 * rings. Layouts are constants for any thread; a {@link io.virtnvme.ipc.virtio.DriverQueue} belongs
 * to one thread.
 */
package io.virtnvme.ipc.virtio;

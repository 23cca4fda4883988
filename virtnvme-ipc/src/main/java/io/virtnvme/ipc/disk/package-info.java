/**
 * What a load on a disk needs of a front-end, whatever it speaks: virtio-blk rings over vhost-user
 * or NVMe queues over vfio-user. A front-end and its queues belong to one thread.
 */
package io.virtnvme.ipc.disk;

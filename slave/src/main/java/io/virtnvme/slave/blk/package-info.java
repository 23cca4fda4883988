/**
 * What a virtio-blk request means: decode, check against the disk, hand to the block channel,
 * answer. It knows neither rings nor guest addresses (it gets host iovecs), and runs on the reactor
 * thread that owns the queue.
 */
package io.virtnvme.slave.blk;

/**
 * Block devices: memory, file or disk through io_uring, and null. A device is opened and closed on
 * the control thread; each reactor drives it through a channel of its own.
 */
package io.virtnvme.slave.bdev;

/**
 * The memory of an I/O queue pair of a real NVMe device, which outlives the slave that drives it.
 * The master makes it and closes it for resets, the reactor thread that owns the disk does the
 * rest.
 */
package io.virtnvme.ipc.nvme.queue;

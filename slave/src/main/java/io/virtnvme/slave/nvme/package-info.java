/**
 * The NVMe controller as its driver sees it: registers, admin commands, and the state that outlives
 * the process. The control thread decides all of it; reactors run the queues and store what was
 * decided, through {@link io.virtnvme.slave.nvme.QueueHost}.
 */
package io.virtnvme.slave.nvme;

/**
 * NVMe devices that the master owns: taken from the kernel's driver, brought up, asked, reset,
 * given back, and repaired. Each device has a thread of its own that may wait for it, so that a
 * device which does not answer holds up nothing but itself; the repair runs in the conductor and
 * never waits.
 */
package io.virtnvme.master.nvme;

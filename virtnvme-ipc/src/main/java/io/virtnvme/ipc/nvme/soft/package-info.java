/**
 * An NVMe device in software for unit tests of drivers, written from the specification and sharing
 * nothing with the drivers but the layouts. It is stepped by hand, or by a thread of the test's
 * own.
 */
package io.virtnvme.ipc.nvme.soft;

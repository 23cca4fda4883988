/**
 * An NVMe driver without a VM, which polls: drives a controller over vfio-user as a guest would,
 * for tests, load and measurements. Shares the layouts with the server's side and nothing else; one
 * thread.
 */
package io.virtnvme.ipc.nvme.client;

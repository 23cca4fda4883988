/**
 * NVM Express as it lies in memory: queue entries, registers, data structures of admin commands,
 * and the codes in them. Constants and helpers without state, for any thread.
 */
package io.virtnvme.ipc.nvme;

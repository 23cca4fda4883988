/**
 * What a driver of an NVMe device needs of it, so that a device behind VFIO and one in software
 * look the same: its registers, and a view of our memory. Each implementation says which thread may
 * call it.
 */
package io.virtnvme.ipc.nvme.device;

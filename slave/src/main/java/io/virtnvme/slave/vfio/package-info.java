/**
 * NVMe controllers as vfio-user devices: the front-end's messages, the PCI configuration space, the
 * DMA map, interrupts, and the record of it all. All of it runs on the slave's control thread; the
 * controller behind BAR0 is {@link io.virtnvme.slave.nvme.NvmeController}.
 */
package io.virtnvme.slave.vfio;

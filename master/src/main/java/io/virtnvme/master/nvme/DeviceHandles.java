package io.virtnvme.master.nvme;

/**
 * What another process needs to drive queue pairs of a device. The descriptors stay the device's.
 *
 * @param containerFd its VFIO container
 * @param deviceFd its VFIO device
 * @param doorbellsOffset where the doorbells begin in {@code deviceFd}: begins a page
 * @param doorbellsBytes of the doorbells, whole pages
 * @param strideBytes between two doorbells
 */
public record DeviceHandles(
    int containerFd, int deviceFd, long doorbellsOffset, long doorbellsBytes, int strideBytes) {}

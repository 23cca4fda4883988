package io.virtnvme.slave.virtqueue;

/**
 * A mapped piece of guest memory. Lengths in bytes; the mapping stays valid as long as any queue
 * may use it.
 *
 * @param guestAddress where the guest sees it
 * @param userAddress where the front-end sees it: ring addresses are given in these
 * @param lengthBytes at least 1; neither address plus length exceeds 2^64
 * @param hostAddress where this process has it mapped
 * @param fd the file it is mapped from
 * @param fileOffsetBytes where it begins in that file
 */
public record MemoryRegion(
    long guestAddress,
    long userAddress,
    long lengthBytes,
    long hostAddress,
    int fd,
    long fileOffsetBytes) {}

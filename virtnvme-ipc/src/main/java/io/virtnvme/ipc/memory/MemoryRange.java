package io.virtnvme.ipc.memory;

/** A range of this process's addresses. */
public record MemoryRange(long address, long lengthBytes) {}

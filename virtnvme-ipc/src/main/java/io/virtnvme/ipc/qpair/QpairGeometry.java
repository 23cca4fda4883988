package io.virtnvme.ipc.qpair;

/**
 * The lengths of a queue pair and of its volume. Immutable.
 *
 * @param entryCount of either queue; one less may be in flight
 * @param poolLength bytes
 * @param blockBytes 512 to 65536
 * @param blockCount of the volume
 * @param readOnly writes are refused
 */
public record QpairGeometry(
    int entryCount, long poolLength, int blockBytes, long blockCount, boolean readOnly) {}

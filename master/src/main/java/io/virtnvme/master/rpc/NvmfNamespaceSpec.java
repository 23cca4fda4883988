package io.virtnvme.master.rpc;

import java.util.UUID;

/**
 * A namespace as it was asked for.
 *
 * @param nsid namespace id; 0 = the lowest free one
 * @param bdevName the bdev behind it
 * @param uuid null = the bdev's
 * @param nguid 32 lower-case hexadecimal digits, or empty for those of the uuid
 * @param eui64 16 lower-case hexadecimal digits, or empty for one that controllers make from the
 *     uuid
 */
public record NvmfNamespaceSpec(int nsid, String bdevName, UUID uuid, String nguid, String eui64) {}

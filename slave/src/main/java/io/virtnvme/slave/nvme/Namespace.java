package io.virtnvme.slave.nvme;

import java.util.UUID;

/**
 * A namespace as a controller shows it; a volume behind it.
 *
 * @param id 1 .. {@link ControllerConfig#namespaceIdMax}
 * @param blockCount length in logical blocks
 * @param blockBytes 512 or 4096
 * @param isReadOnly writes are refused
 * @param uuid the same wherever and whenever the volume is shown; NGUID and EUI64 are made from it
 */
public record Namespace(int id, long blockCount, int blockBytes, boolean isReadOnly, UUID uuid) {}

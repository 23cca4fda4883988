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
public record Namespace(int id, long blockCount, int blockBytes, boolean isReadOnly, UUID uuid) {
  /** What is wrong with it, with the values, or null. */
  String wrong() {
    if (id < 1 || id > ControllerConfig.NAMESPACE_ID_LIMIT) {
      return "namespace id=" + id + ", allowed 1.." + ControllerConfig.NAMESPACE_ID_LIMIT;
    }
    if (blockBytes != 512 && blockBytes != 4096) {
      return "namespace " + id + ": bytes of a block=" + blockBytes + ", allowed 512 and 4096";
    }
    if (blockCount < 1 || blockCount > Long.MAX_VALUE / blockBytes) {
      return "namespace " + id + ": blocks=" + blockCount;
    }
    return null;
  }
}

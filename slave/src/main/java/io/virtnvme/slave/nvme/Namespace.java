package io.virtnvme.slave.nvme;

import java.util.UUID;

/**
 * A namespace as a controller shows it; a volume behind it.
 *
 * @param id 1 .. {@link ControllerConfig#namespaceIdMax}
 * @param blockCount length in logical blocks
 * @param blockBytes 512 or 4096
 * @param isReadOnly writes are refused
 * @param ids the same wherever and whenever the volume is shown
 */
public record Namespace(
    int id, long blockCount, int blockBytes, boolean isReadOnly, NamespaceIds ids) {
  /** A namespace whose identifiers are all made from a UUID. */
  public Namespace(
      final int id,
      final long blockCount,
      final int blockBytes,
      final boolean isReadOnly,
      final UUID uuid) {
    this(id, blockCount, blockBytes, isReadOnly, NamespaceIds.of(uuid));
  }

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
    return ids.wrong() == null ? null : "namespace " + id + ": " + ids.wrong();
  }
}

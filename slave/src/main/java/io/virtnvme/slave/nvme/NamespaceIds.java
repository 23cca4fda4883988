package io.virtnvme.slave.nvme;

import java.nio.ByteBuffer;
import java.util.UUID;

/**
 * The identifiers of a namespace, all made from its UUID, so that they are the same wherever it is
 * shown. Big endian (NVM Express base specification 2.0, 4.5.1).
 */
final class NamespaceIds {
  static final int UUID_LENGTH = 16;

  /** Nobody assigned us an OUI: the bit that says "locally administered" in the first byte. */
  private static final long EUI64_LOCAL = 0x02L << 56;

  private static final long EUI64_GROUP = 0x01L << 56;

  private final UUID uuid;

  private NamespaceIds(final UUID uuid) {
    this.uuid = uuid;
  }

  static NamespaceIds of(final UUID uuid) {
    return new NamespaceIds(uuid);
  }

  void putUuid(final byte[] data, final int offset) {
    ByteBuffer.wrap(data)
        .putLong(offset, uuid.getMostSignificantBits())
        .putLong(offset + Long.BYTES, uuid.getLeastSignificantBits());
  }

  /** The same 128 bits. */
  void putNguid(final byte[] data, final int offset) {
    putUuid(data, offset);
  }

  void putEui64(final byte[] data, final int offset) {
    ByteBuffer.wrap(data).putLong(offset, eui64());
  }

  /** Both halves folded: the bits that are random in one are version or variant in the other. */
  long eui64() {
    final long folded =
        uuid.getMostSignificantBits() ^ Long.rotateLeft(uuid.getLeastSignificantBits(), 17);
    return (folded | EUI64_LOCAL) & ~EUI64_GROUP;
  }
}

package io.virtnvme.slave.nvme;

import java.nio.ByteBuffer;
import java.util.UUID;

/**
 * The identifiers of a namespace, the same wherever it is shown: its UUID, and what is made from
 * that unless the namespace was given its own. Big endian where a host reads them (NVM Express base
 * specification 2.0, 4.5.1). Immutable.
 *
 * @param uuid the volume's, or the one that the namespace was given
 * @param nguid 128 bits, not all 0 unless the UUID is
 * @param eui64 64 bits, not all 0
 */
public record NamespaceIds(UUID uuid, UUID nguid, long eui64) {
  static final int UUID_LENGTH = 16;

  /** Nobody assigned us an OUI: the bit that says "locally administered" in the first byte. */
  private static final long EUI64_LOCAL = 0x02L << 56;

  private static final long EUI64_GROUP = 0x01L << 56;

  private static final UUID NONE = new UUID(0, 0);
  private static final int NGUID_DIGITS = 32;
  private static final int EUI64_DIGITS = 16;
  private static final int HEXADECIMAL = 16;

  /** All from the UUID; the NGUID is the same 128 bits. */
  public static NamespaceIds of(final UUID uuid) {
    return new NamespaceIds(uuid, uuid, eui64(uuid));
  }

  /**
   * As a description has them.
   *
   * @param nguid 32 hexadecimal digits, or empty for that of the UUID
   * @param eui64 16 hexadecimal digits, or empty for that of the UUID
   * @throws IllegalArgumentException with the value, for other text
   */
  public static NamespaceIds of(final UUID uuid, final String nguid, final String eui64) {
    final NamespaceIds made = of(uuid);
    if (!nguid.isEmpty()) {
      requireDigits("NGUID", nguid, NGUID_DIGITS);
    }
    if (!eui64.isEmpty()) {
      requireDigits("EUI64", eui64, EUI64_DIGITS);
    }
    return new NamespaceIds(
        uuid,
        nguid.isEmpty()
            ? made.nguid
            : new UUID(word(nguid, 0), word(nguid, NGUID_DIGITS - EUI64_DIGITS)),
        eui64.isEmpty() ? made.eui64 : word(eui64, 0));
  }

  private static void requireDigits(final String what, final String text, final int count) {
    if (text.length() != count
        || !text.chars().allMatch(c -> Character.digit(c, HEXADECIMAL) >= 0 && c < 0x80)) {
      throw new IllegalArgumentException(
          what + " is not " + count + " hexadecimal digits: " + text);
    }
  }

  private static long word(final String digits, final int from) {
    return Long.parseUnsignedLong(digits, from, from + EUI64_DIGITS, HEXADECIMAL);
  }

  /** Both halves folded: the bits that are random in one are version or variant in the other. */
  private static long eui64(final UUID uuid) {
    final long folded =
        uuid.getMostSignificantBits() ^ Long.rotateLeft(uuid.getLeastSignificantBits(), 17);
    return (folded | EUI64_LOCAL) & ~EUI64_GROUP;
  }

  /** Whether one of them is not made from the UUID. */
  boolean hasOwn() {
    return !equals(of(uuid));
  }

  /** What is wrong with them, or null; 0 would say that there is none. */
  String wrong() {
    if (nguid.equals(NONE) && !nguid.equals(uuid)) {
      return "NGUID is 0";
    }
    return eui64 == 0 ? "EUI64 is 0" : null;
  }

  void putUuid(final byte[] data, final int offset) {
    put(data, offset, uuid);
  }

  void putNguid(final byte[] data, final int offset) {
    put(data, offset, nguid);
  }

  private static void put(final byte[] data, final int offset, final UUID bits) {
    ByteBuffer.wrap(data)
        .putLong(offset, bits.getMostSignificantBits())
        .putLong(offset + Long.BYTES, bits.getLeastSignificantBits());
  }

  void putEui64(final byte[] data, final int offset) {
    ByteBuffer.wrap(data).putLong(offset, eui64);
  }
}

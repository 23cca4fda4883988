package io.virtnvme.master.nvme;

import io.virtnvme.ipc.memory.LittleEndian;
import io.virtnvme.ipc.nvme.IdentifyNamespace;
import java.util.HexFormat;

/**
 * What a namespace says that it is, checked.
 *
 * @param id 1..0xFFFFFFFE, unsigned
 * @param blockCount logical blocks
 * @param blockBytes of a logical block; 0 when it has a problem
 * @param nguid 32 hexadecimal digits
 * @param eui64 16 hexadecimal digits
 * @param problem why it cannot be used; empty when it can
 */
public record NamespaceIdentity(
    int id, long blockCount, int blockBytes, String nguid, String eui64, String problem) {
  private static final int FORMAT_COUNT_MAX = 64;
  private static final int FORMAT_LOW_MASK = 0xF;

  /** FLBAS bits 6:5, the upper part of the format's number when there are more than 16. */
  private static final int FORMAT_HIGH_MASK = 0x60;

  private static final int FORMAT_HIGH_SHIFT = 1;
  private static final int SHIFT_512 = 9;
  private static final int SHIFT_4096 = 12;

  /** One that did not say what it is. */
  static NamespaceIdentity unusable(final int id, final String problem) {
    return new NamespaceIdentity(
        id,
        0,
        0,
        "0".repeat(2 * IdentifyNamespace.NGUID_LENGTH),
        "0".repeat(2 * IdentifyNamespace.EUI64_LENGTH),
        problem);
  }

  /** Reads the 4096 bytes that Identify answered. */
  static NamespaceIdentity parse(final int id, final byte[] data) {
    final long blockCount = LittleEndian.getLong(data, IdentifyNamespace.SIZE_OFFSET);
    final int flbas = data[IdentifyNamespace.FORMAT_OFFSET];
    final int formatCount = (data[IdentifyNamespace.FORMAT_COUNT_OFFSET] & 0xFF) + 1;
    final int formatHigh =
        formatCount > FORMAT_LOW_MASK + 1 ? (flbas & FORMAT_HIGH_MASK) >>> FORMAT_HIGH_SHIFT : 0;
    final int format = (flbas & FORMAT_LOW_MASK) | formatHigh;
    final HexFormat hex = HexFormat.of();
    final String nguid =
        hex.formatHex(
            data,
            IdentifyNamespace.NGUID_OFFSET,
            IdentifyNamespace.NGUID_OFFSET + IdentifyNamespace.NGUID_LENGTH);
    final String eui64 =
        hex.formatHex(
            data,
            IdentifyNamespace.EUI64_OFFSET,
            IdentifyNamespace.EUI64_OFFSET + IdentifyNamespace.EUI64_LENGTH);
    if (formatCount > FORMAT_COUNT_MAX || format >= formatCount) {
      return new NamespaceIdentity(
          id, 0, 0, nguid, eui64, "format " + format + " of " + formatCount + " is in use");
    }
    final int at = IdentifyNamespace.FORMAT_0_OFFSET + format * IdentifyNamespace.FORMAT_LENGTH;
    final int metadataBytes = LittleEndian.getUnsignedShort(data, at);
    final int shift = data[at + IdentifyNamespace.FORMAT_BLOCK_SHIFT_OFFSET] & 0xFF;
    final String problem = problem(blockCount, metadataBytes, shift);
    return problem.isEmpty()
        ? new NamespaceIdentity(id, blockCount, 1 << shift, nguid, eui64, "")
        : new NamespaceIdentity(id, 0, 0, nguid, eui64, problem);
  }

  private static String problem(
      final long blockCount, final int metadataBytes, final int blockShift) {
    if (blockShift != SHIFT_512 && blockShift != SHIFT_4096) {
      return "blocks have 2^" + blockShift + " bytes; 512 and 4096 are supported";
    }
    if (metadataBytes != 0) {
      return "blocks have " + metadataBytes + " bytes of metadata; format it without";
    }
    if (blockCount <= 0 || blockCount > Long.MAX_VALUE >> blockShift) {
      return "it has an impossible number of blocks: " + Long.toUnsignedString(blockCount);
    }
    return "";
  }
}

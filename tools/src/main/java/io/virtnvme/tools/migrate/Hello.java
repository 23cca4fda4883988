package io.virtnvme.tools.migrate;

import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.util.UUID;

/**
 * What the source says first: u16 major, u16 minor, u32 block length, u32 chunk length, u8 moved,
 * u8 verify, u16 length of the name, u64 length of the disk, 16 bytes uuid, the name.
 *
 * @param major another one is refused
 * @param minor grows with what may be ignored
 * @param blockBytes block length of the disk
 * @param chunkBytes what checksums are for
 * @param isMoved the source has let go of the disk already, in an attempt before
 * @param verify what is written is read again
 * @param lengthBytes of the disk
 * @param uuid of the disk at the source, by which an attempt goes on where another one ended
 * @param name of the disk at the source, for people
 */
record Hello(
    int major,
    int minor,
    int blockBytes,
    int chunkBytes,
    boolean isMoved,
    boolean verify,
    long lengthBytes,
    UUID uuid,
    String name) {
  static final int MAJOR = 1;

  /** 1: there are references. */
  static final int MINOR = 1;

  static final int LENGTH_MIN = 40;
  static final int LENGTH_MAX = LENGTH_MIN + 200;

  void put(final ByteBuffer to) {
    final byte[] nameBytes = name.getBytes(StandardCharsets.UTF_8);
    to.putShort((short) major).putShort((short) minor).putInt(blockBytes).putInt(chunkBytes);
    to.put((byte) (isMoved ? 1 : 0)).put((byte) (verify ? 1 : 0));
    to.putShort((short) nameBytes.length).putLong(lengthBytes);
    to.putLong(uuid.getMostSignificantBits()).putLong(uuid.getLeastSignificantBits());
    to.put(nameBytes);
  }

  static Hello read(final ByteBuffer from) throws ProtocolException {
    final int major = Short.toUnsignedInt(from.getShort());
    final int minor = Short.toUnsignedInt(from.getShort());
    final int blockBytes = from.getInt();
    final int chunkBytes = from.getInt();
    final boolean isMoved = from.get() != 0;
    final boolean verify = from.get() != 0;
    final int nameLength = Short.toUnsignedInt(from.getShort());
    final long lengthBytes = from.getLong();
    final UUID uuid = new UUID(from.getLong(), from.getLong());
    if (nameLength != from.remaining()) {
      throw new ProtocolException(
          "name of " + nameLength + " bytes where " + from.remaining() + " are left");
    }
    final String name =
        StandardCharsets.UTF_8.decode(from).toString().replaceAll("\\p{Cntrl}", "?");
    return new Hello(
        major, minor, blockBytes, chunkBytes, isMoved, verify, lengthBytes, uuid, name);
  }

  /**
   * Why a disk of this kind cannot take it, or null.
   *
   * @param diskBlockBytes its block length
   * @param diskBytes its length
   */
  String problem(final int diskBlockBytes, final long diskBytes) {
    if (major != MAJOR) {
      return "the source speaks version "
          + major
          + "."
          + minor
          + ", this end "
          + MAJOR
          + "."
          + MINOR
          + ": install the same build at both";
    }
    if (chunkBytes != ChunkTable.CHUNK_BYTES) {
      return "chunks of " + chunkBytes + " bytes, here " + ChunkTable.CHUNK_BYTES;
    }
    if (blockBytes != diskBlockBytes) {
      return "the source has blocks of " + blockBytes + " bytes, the disk here " + diskBlockBytes;
    }
    if (lengthBytes <= 0 || lengthBytes % blockBytes != 0) {
      return "a disk of " + lengthBytes + " bytes with blocks of " + blockBytes;
    }
    if (lengthBytes > diskBytes) {
      return "the source has " + lengthBytes + " bytes, the disk here only " + diskBytes;
    }
    return ChunkTable.isAllowed(lengthBytes)
        ? null
        : "a disk of " + lengthBytes + " bytes is more than can be moved";
  }
}

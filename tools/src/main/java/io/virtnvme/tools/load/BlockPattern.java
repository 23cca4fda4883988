package io.virtnvme.tools.load;

import io.virtnvme.ipc.memory.Mem;

/**
 * What a written block of 4 KiB holds. Every word behind the header follows from (salt, LBA,
 * version, position), so any word of the block tells on its own to which version it belongs.
 *
 * <pre>
 *  0               8              16              24             32
 *  +---------------+---------------+---------------+---------------+
 *  | magic ^ salt  |      LBA      |    version    |   checksum    |
 *  +---------------+---------------+---------------+---------------+ 32
 *  | pattern words ...                                             |
 *  +---------------------------------------------------------------+ 4096
 * </pre>
 *
 * <p>The checksum covers the whole block without its own word. No allocation; any thread.
 */
final class BlockPattern {
  static final int BLOCK_BYTES = 4096;
  static final int MAGIC_OFFSET = 0;
  static final int LBA_OFFSET = MAGIC_OFFSET + Long.BYTES;
  static final int VERSION_OFFSET = LBA_OFFSET + Long.BYTES;
  static final int CHECKSUM_OFFSET = VERSION_OFFSET + Long.BYTES;
  static final int PATTERN_OFFSET = CHECKSUM_OFFSET + Long.BYTES;

  private static final long MAGIC = 0x4B4C42564E545256L;
  private static final long GOLDEN = 0x9E3779B97F4A7C15L;
  private static final long PRIME = 0xC2B2AE3D27D4EB4FL;

  private final long salt;

  /**
   * @param salt differs from run to run, so that blocks of an earlier run are never taken for ours
   */
  BlockPattern(final long salt) {
    this.salt = mix(salt);
  }

  /** The word that a block of this version holds at an offset (not the checksum's). */
  long word(final long lba, final long version, final int offset) {
    return switch (offset) {
      case MAGIC_OFFSET -> MAGIC ^ salt;
      case LBA_OFFSET -> lba;
      case VERSION_OFFSET -> version;
      default -> patternWord(seed(lba, version), offset);
    };
  }

  void fill(final long address, final long lba, final long version) {
    final long seed = seed(lba, version);
    Mem.putLong(address + MAGIC_OFFSET, MAGIC ^ salt);
    Mem.putLong(address + LBA_OFFSET, lba);
    Mem.putLong(address + VERSION_OFFSET, version);
    for (int offset = PATTERN_OFFSET; offset < BLOCK_BYTES; offset += Long.BYTES) {
      Mem.putLong(address + offset, patternWord(seed, offset));
    }
    Mem.putLong(address + CHECKSUM_OFFSET, checksum(address));
  }

  /** Version of an intact block of this LBA, or -1 when magic, LBA or checksum is wrong. */
  long intactVersion(final long address, final long lba) {
    if (Mem.getLong(address + MAGIC_OFFSET) != (MAGIC ^ salt)
        || Mem.getLong(address + LBA_OFFSET) != lba
        || Mem.getLong(address + CHECKSUM_OFFSET) != checksum(address)) {
      return -1;
    }
    return Mem.getLong(address + VERSION_OFFSET);
  }

  static boolean isZero(final long address) {
    long bits = 0;
    for (int offset = 0; offset < BLOCK_BYTES; offset += Long.BYTES) {
      bits |= Mem.getLong(address + offset);
    }
    return bits == 0;
  }

  /** Four lanes, so that the multiplications of one do not wait for those of another. */
  static long checksum(final long address) {
    long a = GOLDEN;
    long b = PRIME;
    long c = ~GOLDEN;
    long d = ~PRIME;
    for (int offset = 0; offset < BLOCK_BYTES; offset += 4 * Long.BYTES) {
      a = (a ^ Mem.getLong(address + offset)) * PRIME;
      b = (b ^ Mem.getLong(address + offset + 8)) * PRIME;
      c = (c ^ Mem.getLong(address + offset + 16)) * PRIME;
      // The checksum's own word, at 24, is left out.
      final long word = offset == 0 ? 0 : Mem.getLong(address + offset + 24);
      d = (d ^ word) * PRIME;
      a = Long.rotateLeft(a, 23);
      b = Long.rotateLeft(b, 29);
      c = Long.rotateLeft(c, 31);
      d = Long.rotateLeft(d, 37);
    }
    return mix(a + mix(b + mix(c + mix(d))));
  }

  private long seed(final long lba, final long version) {
    return mix(salt ^ mix(lba * GOLDEN + version));
  }

  private static long patternWord(final long seed, final int offset) {
    return seed + offset * PRIME;
  }

  private static long mix(final long value) {
    long x = value;
    x = (x ^ (x >>> 30)) * 0xBF58476D1CE4E5B9L;
    x = (x ^ (x >>> 27)) * 0x94D049BB133111EBL;
    return x ^ (x >>> 31);
  }
}

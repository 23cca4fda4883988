package io.virtnvme.tools.migrate;

import java.util.Arrays;
import java.util.BitSet;
import java.util.zip.CRC32;
import java.util.zip.CRC32C;

/**
 * What each chunk of a disk is, by a checksum of 64 bits: CRC32C in the upper half, CRC-32 of IEEE
 * 802.3 in the lower one. A chunk with the checksum that it should have is not sent again, and 32
 * bits would be too few for that. One thread.
 */
final class ChunkTable {
  static final int CHUNK_BYTES = 1 << 16;

  /** 64 TiB; an array of checksums has room for that. */
  private static final long LENGTH_MAX = 1L << 46;

  private static final byte[] ZEROES = new byte[CHUNK_BYTES];

  private final long lengthBytes;
  private final long[] sums;

  /** Chunks of which nobody knows what they are. */
  private final BitSet unknown = new BitSet();

  private final CRC32C upper = new CRC32C();
  private final CRC32 lower = new CRC32();
  private final long zeroSum;

  /** A table of a disk with zeroes. */
  ChunkTable(final long lengthBytes) {
    if (!isAllowed(lengthBytes)) {
      throw new IllegalArgumentException("length of a disk: " + lengthBytes);
    }
    this.lengthBytes = lengthBytes;
    this.sums = new long[(int) ((lengthBytes + CHUNK_BYTES - 1) / CHUNK_BYTES)];
    this.zeroSum = compute(ZEROES, 0, CHUNK_BYTES);
    Arrays.fill(sums, zeroSum);
    sums[sums.length - 1] = zeroSum(sums.length - 1);
  }

  static boolean isAllowed(final long lengthBytes) {
    return lengthBytes > 0 && lengthBytes <= LENGTH_MAX;
  }

  int count() {
    return sums.length;
  }

  /** Bytes of a chunk: the last one may be shorter. */
  int length(final int chunk) {
    return (int) Math.min(CHUNK_BYTES, lengthBytes - offset(chunk));
  }

  long offset(final int chunk) {
    return (long) chunk * CHUNK_BYTES;
  }

  long lengthBytes() {
    return lengthBytes;
  }

  long sum(final int chunk) {
    return sums[chunk];
  }

  void sum(final int chunk, final long newSum) {
    sums[chunk] = newSum;
    unknown.clear(chunk);
  }

  /** From now on nothing is known of any chunk until its checksum is set. */
  void forget() {
    unknown.set(0, sums.length);
  }

  /** Whether a chunk is known to have a checksum. */
  boolean is(final int chunk, final long sum) {
    return sums[chunk] == sum && !unknown.get(chunk);
  }

  /** The checksum of a chunk that is zeroes. */
  long zeroSum(final int chunk) {
    return length(chunk) == CHUNK_BYTES ? zeroSum : compute(ZEROES, 0, length(chunk));
  }

  static boolean isZero(final byte[] bytes, final int offset, final int length) {
    return Arrays.equals(bytes, offset, offset + length, ZEROES, 0, length);
  }

  /** The checksum of some bytes. */
  long compute(final byte[] bytes, final int offset, final int length) {
    upper.reset();
    upper.update(bytes, offset, length);
    lower.reset();
    lower.update(bytes, offset, length);
    return upper.getValue() << Integer.SIZE | lower.getValue();
  }

  /** What stands for the whole table. */
  long digest() {
    final byte[] bytes = new byte[Long.BYTES];
    final CRC32C high = new CRC32C();
    final CRC32 low = new CRC32();
    for (final long sum : sums) {
      for (int i = 0; i < Long.BYTES; i++) {
        bytes[i] = (byte) (sum >>> (i * Byte.SIZE));
      }
      high.update(bytes, 0, Long.BYTES);
      low.update(bytes, 0, Long.BYTES);
    }
    return high.getValue() << Integer.SIZE | low.getValue();
  }
}

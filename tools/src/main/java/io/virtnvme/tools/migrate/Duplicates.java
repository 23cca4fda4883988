package io.virtnvme.tools.migrate;

import java.io.IOException;
import java.util.Arrays;

/**
 * Finds chunks whose bytes the destination has elsewhere. The checksum only leads there: a chunk
 * counts as the same when the source reads the same bytes from both, and the destination checks
 * what it copies. One thread.
 */
final class Duplicates {
  /** Reads from the disk of the source. */
  @FunctionalInterface
  interface ChunkReader {
    /** Reads into the first bytes; 0, or an errno. */
    int read(long offset, byte[] bytes, int count) throws IOException;
  }

  private final ChunkIndex index;
  private final ChunkTable table;
  private final ChunkReader reader;
  private final byte[] twinBytes = new byte[ChunkTable.CHUNK_BYTES];

  /**
   * Over an index that is the caller's to close.
   *
   * @param table what the destination has
   */
  Duplicates(final ChunkIndex index, final ChunkTable table, final ChunkReader reader) {
    this.index = index;
    this.table = table;
    this.reader = reader;
  }

  /** Another chunk with these bytes at the destination, or {@link ChunkIndex#NONE}. */
  int find(final int chunk, final long sum, final byte[] bytes, final int at) throws IOException {
    final int twin = index.find(sum);
    final int length = table.length(chunk);
    if (twin < 0
        || twin >= table.count()
        || twin == chunk
        || table.length(twin) != length
        || !table.is(twin, sum)) {
      return ChunkIndex.NONE;
    }
    final boolean isRead = reader.read(table.offset(twin), twinBytes, length) == 0;
    return isRead && Arrays.equals(twinBytes, 0, length, bytes, at, at + length)
        ? twin
        : ChunkIndex.NONE;
  }

  /** The destination was sent a chunk. */
  void onSent(final int chunk, final long sum) {
    index.put(sum, chunk);
  }
}

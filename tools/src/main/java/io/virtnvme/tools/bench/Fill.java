package io.virtnvme.tools.bench;

import java.io.IOException;
import java.io.RandomAccessFile;
import java.nio.file.Path;
import java.util.Arrays;

/** Files whose every block is written, so that no file system answers reads out of a hole. */
final class Fill {
  private static final int CHUNK_BYTES = 1 << 20;

  private Fill() {}

  /** Makes or overwrites a file. */
  static void fill(final Path file, final long lengthBytes) throws IOException {
    final byte[] chunk = new byte[CHUNK_BYTES];
    Arrays.fill(chunk, (byte) 0x5A);
    try (RandomAccessFile out = new RandomAccessFile(file.toFile(), "rw")) {
      for (long written = 0; written < lengthBytes; written += chunk.length) {
        out.write(chunk, 0, (int) Math.min(chunk.length, lengthBytes - written));
      }
      out.getFD().sync();
    }
  }
}

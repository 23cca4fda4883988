package io.virtnvme.tools.migrate;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.io.RandomAccessFile;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.SplittableRandom;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

/** An index that leads to equal chunks, and everything that it may wrongly lead to. */
@Timeout(120)
class DuplicatesTest {
  private static final int CHUNKS = 64;
  private static final int BYTES = ChunkTable.CHUNK_BYTES;

  /** CRC-32 of IEEE 802.3 and CRC32C, x^32 in bit 32. */
  private static final long[] GENERATORS = {0x104C11DB7L, 0x11EDC6F41L};

  @TempDir private Path folder;

  private final byte[] disk = new byte[CHUNKS * BYTES];
  private final ChunkTable table = new ChunkTable((long) CHUNKS * BYTES - 4096);
  private final List<String> said = new ArrayList<>();
  private int readErrno;

  private Path file() {
    return folder.resolve("migrate").resolve("disk.index");
  }

  private ChunkIndex open(final Path at) throws IOException {
    said.clear();
    return ChunkIndex.open(at, table, said::add);
  }

  private int read(final long offset, final byte[] bytes, final int count) {
    System.arraycopy(disk, (int) offset, bytes, 0, count);
    return readErrno;
  }

  private long fill(final int chunk, final int seed) {
    final byte[] bytes = new byte[BYTES];
    new SplittableRandom(seed).nextBytes(bytes);
    System.arraycopy(bytes, 0, disk, chunk * BYTES, BYTES);
    return sum(chunk);
  }

  private long sum(final int chunk) {
    return table.compute(disk, chunk * BYTES, table.length(chunk));
  }

  private int find(final Duplicates duplicates, final int chunk) throws IOException {
    return duplicates.find(chunk, sum(chunk), disk, chunk * BYTES);
  }

  @Test
  void shouldFindAChunkOnlyWhereTheDestinationHasTheSameBytes() throws IOException {
    try (ChunkIndex index = open(file())) {
      final Duplicates duplicates = new Duplicates(index, table, this::read);
      final long sum = fill(1, 5);
      fill(2, 5);
      assertEquals(ChunkIndex.NONE, find(duplicates, 2));
      duplicates.onSent(1, sum);
      assertEquals(ChunkIndex.NONE, find(duplicates, 2), "not as the table has it");
      table.sum(1, sum);
      assertEquals(1, find(duplicates, 2));
      assertEquals(ChunkIndex.NONE, find(duplicates, 1), "itself");
      readErrno = 5;
      assertEquals(ChunkIndex.NONE, find(duplicates, 2));
      readErrno = 0;
      disk[BYTES + 9] ^= 4;
      assertEquals(ChunkIndex.NONE, find(duplicates, 2), "has changed since it was sent");
      table.forget();
      disk[BYTES + 9] ^= 4;
      assertEquals(ChunkIndex.NONE, find(duplicates, 2), "not known to be there");
      // The last one is shorter.
      table.sum(CHUNKS - 1, sum);
      duplicates.onSent(CHUNKS - 1, sum);
      assertEquals(ChunkIndex.NONE, find(duplicates, 2));
      for (final int damaged : new int[] {-5, CHUNKS, Integer.MAX_VALUE, Integer.MIN_VALUE}) {
        index.put(sum, damaged);
        assertEquals(ChunkIndex.NONE, find(duplicates, 2));
      }
    }
  }

  /** What both checksums call the same differs by a multiple of both polynomials. */
  @Test
  void shouldNotTakeOneForAnotherThatHasItsChecksum() throws IOException {
    try (ChunkIndex index = open(file())) {
      final Duplicates duplicates = new Duplicates(index, table, this::read);
      final long sum = fill(1, 5);
      fill(2, 5);
      for (int i = 0; i <= 32; i++) {
        for (int j = 0; j <= 32; j++) {
          if ((GENERATORS[0] >>> (32 - i) & GENERATORS[1] >>> (32 - j) & 1) != 0) {
            // The highest power first, as the lowest bit of the first byte.
            disk[2 * BYTES + 100 + (i + j) / 8] ^= (byte) (1 << (i + j) % 8);
          }
        }
      }
      assertEquals(sum, sum(2), "the same checksum");
      table.sum(1, sum);
      duplicates.onSent(1, sum);
      assertEquals(ChunkIndex.NONE, find(duplicates, 2));
    }
  }

  @Test
  void shouldKeepWhatAKilledHelperLearnt() throws IOException {
    final Path left = folder.resolve("left");
    try (ChunkIndex index = open(file())) {
      assertEquals(List.of(), said);
      for (int chunk = 0; chunk < CHUNKS; chunk++) {
        index.put(1000 + chunk, chunk);
      }
      index.put(1007, 9);
      index.put(77, 5);
      // One more than there are chunks.
      assertEquals(ChunkIndex.NONE, index.find(77));
      Files.copy(file(), left);
    }
    try (ChunkIndex index = open(left)) {
      assertEquals(List.of("chunks in the index of an attempt before: " + CHUNKS), said);
      for (int chunk = 0; chunk < CHUNKS; chunk++) {
        assertEquals(chunk == 7 ? 9 : chunk, index.find(1000 + chunk));
      }
    }
  }

  @Test
  void shouldMakeADamagedIndexAgain() throws IOException {
    final long sum = fill(3, 8);
    table.sum(3, sum);
    open(file()).close();
    final byte[] sound = Files.readAllBytes(file());
    final SplittableRandom random = new SplittableRandom(3);
    for (int round = 0; round < 20; round++) {
      final byte[] bytes = sound.clone();
      final int count = round % 2 == 0 ? 1 + round * 50 : bytes.length;
      for (int i = 0; i < count; i++) {
        bytes[random.nextInt(round % 3 == 0 ? Math.min(4096, bytes.length) : bytes.length)] =
            (byte) random.nextInt();
      }
      final Path damaged = folder.resolve("damaged" + round);
      Files.write(damaged, bytes);
      checkUsable(damaged);
    }
    final Path cut = folder.resolve("cut");
    for (final int length : new int[] {0, 100, sound.length - 1}) {
      Files.write(cut, sound);
      try (RandomAccessFile shorter = new RandomAccessFile(cut.toFile(), "rw")) {
        shorter.setLength(length);
      }
      checkUsable(cut);
      assertTrue(said.get(0).contains("made again"), said.toString());
      try (ChunkIndex index = open(cut)) {
        assertEquals(3, index.find(sum));
      }
    }
  }

  /** Whatever it leads to is checked; here it is enough that it works. */
  private void checkUsable(final Path at) throws IOException {
    try (ChunkIndex index = open(at)) {
      index.find(table.sum(3));
      index.put(5, 6);
      assertEquals(6, index.find(5));
    }
  }
}

package io.virtnvme.tools.migrate;

import io.virtnvme.tools.CommandFailedException;
import java.io.IOException;
import java.io.InputStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.util.Arrays;
import java.util.function.Consumer;
import net.openhft.chronicle.map.ChronicleMap;
import net.openhft.chronicle.map.ChronicleMapBuilder;

/**
 * Which chunk of the destination has a checksum, as far as was learnt: a hint, that whoever asks
 * has to check. It lies in a file, so the next helper has what a killed one had learnt. Bounded: an
 * index that is full learns nothing more. One thread of one process.
 */
final class ChunkIndex implements AutoCloseable {
  static final int NONE = -1;

  /** 256 GiB of chunks that are all different. */
  private static final int ENTRIES_MAX = 1 << 22;

  /** What begins a file: a checksum of the configuration, and a word that says that it is whole. */
  private static final int HEADER_LENGTH = 64;

  private final ChronicleMap<Long, Integer> map;
  private final long entriesMax;
  private final Consumer<String> lines;
  private long entryCount;
  private boolean isBroken;

  private ChunkIndex(
      final ChronicleMap<Long, Integer> map, final long entriesMax, final Consumer<String> lines) {
    this.map = map;
    this.entriesMax = entriesMax;
    this.lines = lines;
    this.entryCount = map.longSize();
  }

  /**
   * Opens the index of a disk, or makes it and enters what the destination has.
   *
   * @param file is made with its folder; nobody else has it open
   * @param table what the destination has
   * @param lines takes what the operator should know
   */
  static ChunkIndex open(final Path file, final ChunkTable table, final Consumer<String> lines)
      throws IOException {
    Files.createDirectories(file.toAbsolutePath().getParent());
    final int entriesMax = Math.min(table.count(), ENTRIES_MAX);
    final Path fresh = file.resolveSibling(file.getFileName() + ".new");
    Files.deleteIfExists(fresh);
    // Under another name until it is whole: one that was never finished would be waited for.
    try {
      builder(entriesMax).createPersistedTo(fresh.toFile()).close();
    } catch (final RuntimeException | LinkageError e) {
      throw new CommandFailedException(
          "no index of equal chunks: "
              + e
              + "; it needs a whole JDK, not only a JRE, and room in the run directory: go without"
              + " --find-duplicates",
          e);
    }
    if (Files.exists(file)) {
      final ChronicleMap<Long, Integer> kept = recover(file, fresh, entriesMax, lines);
      if (kept != null) {
        Files.delete(fresh);
        final ChunkIndex index = new ChunkIndex(kept, entriesMax, lines);
        lines.accept("chunks in the index of an attempt before: " + index.entryCount);
        return index;
      }
    }
    Files.move(fresh, file, StandardCopyOption.REPLACE_EXISTING, StandardCopyOption.ATOMIC_MOVE);
    final ChunkIndex index =
        new ChunkIndex(builder(entriesMax).createPersistedTo(file.toFile()), entriesMax, lines);
    index.learn(table);
    return index;
  }

  private static ChronicleMapBuilder<Long, Integer> builder(final int entriesMax) {
    return ChronicleMapBuilder.of(Long.class, Integer.class)
        .name("chunks")
        .entries(Math.max(entriesMax, 1024));
  }

  /**
   * What a process left that may have been killed at any instant; entries that are not whole are
   * gone. Null when nothing can be made of it.
   *
   * @param fresh a new index: a shorter file would end the process that maps it, and one with
   *     another header is another build's, damaged, or was left in the middle of a recovery
   */
  private static ChronicleMap<Long, Integer> recover(
      final Path file, final Path fresh, final int entriesMax, final Consumer<String> lines)
      throws IOException {
    String problem = "it was cut short, or is not of this build";
    if (Files.size(file) >= Files.size(fresh) && Arrays.equals(header(file), header(fresh))) {
      try {
        return builder(entriesMax).recoverPersistedTo(file.toFile(), false);
      } catch (final IOException | RuntimeException | AssertionError e) {
        problem = String.valueOf(e.getMessage());
      }
    }
    lines.accept("the index " + file + " cannot be used and is made again: " + problem);
    return null;
  }

  private static byte[] header(final Path file) throws IOException {
    try (InputStream in = Files.newInputStream(file)) {
      return in.readNBytes(HEADER_LENGTH);
    }
  }

  private void learn(final ChunkTable table) {
    for (int chunk = 0; chunk < table.count(); chunk++) {
      final long sum = table.sum(chunk);
      if (table.is(chunk, sum) && sum != table.zeroSum(chunk)) {
        put(sum, chunk);
      }
    }
  }

  /** A chunk that had this checksum once, or {@link #NONE}; any number from a damaged file. */
  int find(final long sum) {
    if (isBroken) {
      return NONE;
    }
    try {
      final Integer chunk = map.get(sum);
      return chunk == null ? NONE : chunk;
    } catch (final RuntimeException e) {
      giveUp(e);
      return NONE;
    }
  }

  /** From now on the chunk has this checksum. */
  void put(final long sum, final int chunk) {
    if (isBroken) {
      return;
    }
    try {
      if (map.replace(sum, chunk) == null && entryCount < entriesMax) {
        map.put(sum, chunk);
        entryCount++;
      }
    } catch (final RuntimeException e) {
      giveUp(e);
    }
  }

  /** It only saves time: without it everything is sent. */
  private void giveUp(final RuntimeException e) {
    isBroken = true;
    lines.accept("the index of equal chunks is of no use any more, everything is sent: " + e);
  }

  @Override
  public void close() {
    map.close();
  }
}

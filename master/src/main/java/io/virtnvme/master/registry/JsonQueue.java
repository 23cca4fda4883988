package io.virtnvme.master.registry;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.channels.FileChannel;
import java.nio.file.DirectoryStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.nio.file.StandardOpenOption;
import java.time.LocalDate;
import java.time.format.DateTimeFormatter;
import java.time.format.DateTimeParseException;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.Locale;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicLong;
import java.util.function.LongSupplier;
import java.util.regex.Pattern;
import java.util.stream.Stream;
import net.openhft.chronicle.queue.ExcerptAppender;
import net.openhft.chronicle.queue.ExcerptTailer;
import net.openhft.chronicle.queue.RollCycle;
import net.openhft.chronicle.queue.RollCycles;
import net.openhft.chronicle.queue.TailerDirection;
import net.openhft.chronicle.queue.impl.single.SingleChronicleQueue;
import net.openhft.chronicle.queue.impl.single.SingleChronicleQueueBuilder;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * A Chronicle queue of text lines, one file per UTC day on which something was appended. Used by
 * one thread, the only appender. An entry is there as a whole or not at all, whenever the process
 * is killed: the header word that makes it visible is stored last.
 *
 * <p>A file takes 12 KiB of disk when it is made (its length of 1.2 MiB is sparse).
 */
final class JsonQueue implements AutoCloseable {
  /** Sees each entry of a replay. */
  interface EntryConsumer {
    /**
     * Called in the order of appending.
     *
     * @param cycle the day of the entry; files are named by it
     */
    void onEntry(String text, int cycle);
  }

  private static final Logger LOG = LoggerFactory.getLogger(JsonQueue.class);
  private static final RollCycle ROLL_CYCLE = RollCycles.FAST_DAILY;
  private static final int BLOCK_LENGTH = 1 << 20;

  /** How long to wait for another writer. There is none, so only damage is waited for. */
  private static final long TIMEOUT_MS = 500;

  private static final DateTimeFormatter FILE_NAME =
      DateTimeFormatter.ofPattern("uuuuMMdd'F.cq4'", Locale.ROOT);
  private static final Pattern FILE_NAME_PATTERN = Pattern.compile("\\d{8}F\\.cq4");

  private static final String SET_ASIDE_SUFFIX = ".unbegun";

  /** Chronicle Wire: the bit of a header word that is set while its content is being written. */
  private static final int WORD_NOT_COMPLETE = 1 << 31;

  private final Path directory;
  private final SingleChronicleQueue queue;
  private final ExcerptAppender appender;

  private JsonQueue(final Path directory, final SingleChronicleQueue queue) {
    this.directory = directory;
    this.queue = queue;
    appender = queue.createAppender();
  }

  /**
   * Opens or makes the queue.
   *
   * @param clockMs the machine's; it may be set back, then entries go on into the newest day
   * @throws IOException when it cannot be used; the message says what to do
   */
  static JsonQueue open(final Path directory, final LongSupplier clockMs) throws IOException {
    try {
      Files.createDirectories(directory);
      setAsideUnbegun(directory);
      final LongSupplier risingClockMs = rising(clockMs, newestDayMs(directory));
      return new JsonQueue(
          directory,
          SingleChronicleQueueBuilder.single(directory.toFile())
              .rollCycle(ROLL_CYCLE)
              .blockSize(BLOCK_LENGTH)
              .timeoutMS(TIMEOUT_MS)
              .timeProvider(risingClockMs::getAsLong)
              .build());
    } catch (final IOException | RuntimeException | LinkageError | AssertionError e) {
      throw unusable(directory, e);
    }
  }

  /**
   * A clock that stands still while the machine's was set back. Entries are read in the order of
   * the days that their files are named after: one that went into a day before the newest would be
   * undone by older ones.
   */
  private static LongSupplier rising(final LongSupplier clockMs, final long floorMs) {
    final AtomicLong lastMs = new AtomicLong(floorMs);
    return () -> lastMs.accumulateAndGet(clockMs.getAsLong(), Math::max);
  }

  private static long newestDayMs(final Path directory) throws IOException {
    final List<Integer> cycles = cycles(directory);
    return cycles.isEmpty()
        ? Long.MIN_VALUE
        : TimeUnit.DAYS.toMillis(cycles.get(cycles.size() - 1));
  }

  /**
   * A file whose first word was never finished holds no entry: its writer died while making it.
   * Chronicle would wait for that writer, so the file is renamed.
   */
  private static void setAsideUnbegun(final Path directory) throws IOException {
    final List<Path> unbegun = new ArrayList<>();
    try (DirectoryStream<Path> files = Files.newDirectoryStream(directory, "*.cq4*")) {
      for (final Path file : files) {
        if (!file.toString().endsWith(SET_ASIDE_SUFFIX) && !isBegun(file)) {
          unbegun.add(file);
        }
      }
    }
    for (final Path file : unbegun) {
      LOG.warn("{} was never begun; it holds nothing and is set aside", file);
      Files.move(
          file,
          file.resolveSibling(file.getFileName() + SET_ASIDE_SUFFIX),
          StandardCopyOption.REPLACE_EXISTING);
    }
  }

  private static boolean isBegun(final Path file) throws IOException {
    final ByteBuffer word = ByteBuffer.allocate(Integer.BYTES).order(ByteOrder.LITTLE_ENDIAN);
    try (FileChannel channel = FileChannel.open(file)) {
      final boolean isWhole = channel.read(word, 0) == Integer.BYTES;
      return isWhole && word.getInt(0) != 0 && (word.getInt(0) & WORD_NOT_COMPLETE) == 0;
    }
  }

  static IOException unusable(final Path directory, final Throwable cause) {
    final String text = String.valueOf(cause);
    if (text.contains("IllegalAccess")
        || text.contains("read-only")
        || cause instanceof LinkageError) {
      return new IOException(
          "Chronicle Queue cannot write to "
              + directory
              + ": start the JVM with the launcher, which passes the --add-opens and --add-exports"
              + " that it needs, and check the owner of the files ("
              + text
              + ")",
          cause);
    }
    return new IOException(
        "cannot use the queue in "
            + directory
            + " ("
            + text
            + "); check its owner and the free space, and if it is damaged move it away: a new one"
            + " is made, and --config FILE brings back what should exist",
        cause);
  }

  /** The day of an entry appended now. */
  int currentCycle() {
    return queue.cycle();
  }

  /**
   * Appends one entry. It survives the death of this process when the call returns, and the death
   * of the host after {@link #force}.
   *
   * @throws IOException when it is not in the queue afterwards
   */
  void append(final String text) throws IOException {
    try {
      appender.writeText(text);
    } catch (final RuntimeException | LinkageError | AssertionError e) {
      throw unusable(directory, e);
    }
  }

  /** Reads the newest entry back: a queue opened without rights takes appends and keeps nothing. */
  void checkNewest(final String expected) throws IOException {
    final List<String> newest = last(1);
    if (newest.size() != 1 || !newest.get(0).equals(expected)) {
      throw unusable(directory, new IOException("an appended entry did not arrive"));
    }
  }

  /** Waits until what was appended is on the device; on tmpfs there is nothing to wait for. */
  void force() throws IOException {
    try (FileChannel file =
        FileChannel.open(appender.currentFile().toPath(), StandardOpenOption.WRITE)) {
      file.force(false);
    }
  }

  /**
   * Reads every entry, oldest first. A file that cannot be read to its end is left with a log line,
   * and reading goes on with the next.
   *
   * @return number of files that were damaged
   */
  int replay(final EntryConsumer consumer) throws IOException {
    int damaged = 0;
    for (final int cycle : cycles(directory)) {
      try (ExcerptTailer tailer = queue.createTailer()) {
        if (tailer.moveToCycle(cycle)) {
          replayCycle(tailer, cycle, consumer);
        }
      } catch (final RuntimeException | LinkageError | AssertionError e) {
        damaged++;
        LOG.error(
            "{} is damaged: entries after the damage are lost; check what exists against what should",
            file(cycle),
            e);
      }
    }
    return damaged;
  }

  private static void replayCycle(
      final ExcerptTailer tailer, final int cycle, final EntryConsumer consumer) {
    for (String text = tailer.readText(); text != null; text = tailer.readText()) {
      if (ROLL_CYCLE.toCycle(tailer.lastReadIndex()) != cycle) {
        return;
      }
      consumer.onEntry(text, cycle);
    }
  }

  /**
   * The newest entries, oldest of them first.
   *
   * @throws IOException when the files are damaged
   */
  List<String> last(final int count) throws IOException {
    final List<String> texts = new ArrayList<>();
    try (ExcerptTailer tailer = queue.createTailer()) {
      tailer.direction(TailerDirection.BACKWARD).toEnd();
      while (texts.size() < count) {
        final String text = tailer.readText();
        if (text == null) {
          break;
        }
        texts.add(0, text);
      }
    } catch (final RuntimeException | LinkageError | AssertionError e) {
      throw unusable(directory, e);
    }
    return texts;
  }

  /** Removes files older than a day, but leaves the newest few. */
  void prune(final int beforeCycle, final int keptCount) throws IOException {
    final List<Integer> cycles = cycles(directory);
    for (int i = 0; i < cycles.size() - keptCount; i++) {
      if (cycles.get(i) < beforeCycle) {
        Files.deleteIfExists(file(cycles.get(i)));
      }
    }
    queue.refreshDirectoryListing();
  }

  private Path file(final int cycle) {
    return directory.resolve(FILE_NAME.format(LocalDate.ofEpochDay(cycle)));
  }

  /** The days that have a file, oldest first. Not asked of the queue, which caches its answer. */
  private static List<Integer> cycles(final Path directory) throws IOException {
    final List<Integer> cycles = new ArrayList<>();
    try (Stream<Path> files = Files.list(directory)) {
      files
          .map(file -> file.getFileName().toString())
          .filter(name -> FILE_NAME_PATTERN.matcher(name).matches())
          .forEach(name -> cycles.add((int) LocalDate.parse(name, FILE_NAME).toEpochDay()));
    } catch (final UncheckedIOException e) {
      throw e.getCause();
    } catch (final DateTimeParseException e) {
      throw new IOException(
          "a file of " + directory + " is named after no day: " + e.getMessage(), e);
    }
    Collections.sort(cycles);
    return cycles;
  }

  @Override
  public void close() {
    appender.close();
    queue.close();
  }
}

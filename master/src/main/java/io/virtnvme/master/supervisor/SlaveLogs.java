package io.virtnvme.master.supervisor;

import java.io.IOException;
import java.nio.file.DirectoryStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.NavigableSet;
import java.util.TreeSet;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * The files {@code log/slave-<id>.log}: one per slave, the newest are kept. Their names also make
 * sure that a slave's id is never used twice. Conductor thread.
 */
final class SlaveLogs {
  private static final Logger LOG = LoggerFactory.getLogger(SlaveLogs.class);
  private static final int KEPT_MAX = 16;
  private static final String PREFIX = "slave-";
  private static final String SUFFIX = ".log";

  private final Path directory;
  private final NavigableSet<Integer> ids = new TreeSet<>();

  SlaveLogs(final Path directory) {
    this.directory = directory;
    try (DirectoryStream<Path> files = Files.newDirectoryStream(directory, PREFIX + "*" + SUFFIX)) {
      for (final Path file : files) {
        final String name = file.getFileName().toString();
        addIfNumber(name.substring(PREFIX.length(), name.length() - SUFFIX.length()));
      }
    } catch (final IOException e) {
      LOG.warn("cannot list {}: {}", directory, e.getMessage());
    }
  }

  private void addIfNumber(final String text) {
    try {
      ids.add(Integer.parseInt(text));
    } catch (final NumberFormatException e) {
      LOG.debug("not a slave's log: {}", text);
    }
  }

  /** The highest id that has a log; 0 for none. */
  int lastId() {
    return ids.isEmpty() ? 0 : ids.last();
  }

  /** The file for a new slave; the oldest ones are deleted. */
  Path next(final int slaveId) {
    ids.add(slaveId);
    while (ids.size() > KEPT_MAX) {
      final int oldest = ids.pollFirst();
      try {
        Files.deleteIfExists(file(oldest));
      } catch (final IOException e) {
        LOG.warn("cannot delete {}: {}", file(oldest), e.getMessage());
      }
    }
    return file(slaveId);
  }

  /** The file of a slave, whether or not it is there. */
  Path file(final int slaveId) {
    return directory.resolve(PREFIX + slaveId + SUFFIX);
  }
}

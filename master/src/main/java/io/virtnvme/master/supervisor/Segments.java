package io.virtnvme.master.supervisor;

import io.virtnvme.ipc.segment.SegmentDirectory;
import java.io.IOException;
import java.nio.file.DirectoryStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.function.LongPredicate;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/** The segment files of an instance, by their names. */
final class Segments {
  private static final Logger LOG = LoggerFactory.getLogger(Segments.class);
  private static final String SESSION_PREFIX = "session-";

  private Segments() {}

  static List<Long> sessionIds(final SegmentDirectory segments) {
    final List<Long> ids = new ArrayList<>();
    try (DirectoryStream<Path> files =
        Files.newDirectoryStream(segments.path(), SESSION_PREFIX + "*")) {
      for (final Path file : files) {
        ids.add(Long.parseLong(file.getFileName().toString().substring(SESSION_PREFIX.length())));
      }
    } catch (final IOException | NumberFormatException e) {
      LOG.warn("segments in {}: {}", segments.path(), e.getMessage());
    }
    return ids;
  }

  static void deleteSessionsExcept(final SegmentDirectory segments, final LongPredicate isKept) {
    for (final long id : sessionIds(segments)) {
      if (!isKept.test(id)) {
        try {
          Files.deleteIfExists(segments.session(id));
        } catch (final IOException e) {
          LOG.warn("cannot remove {}: {}", segments.session(id), e.getMessage());
        }
      }
    }
  }
}

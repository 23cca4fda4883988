package io.virtnvme.ipc.segment;

import java.nio.file.Path;

/**
 * A segment file that must not be used: damaged, of another version, another boot or another
 * instance.
 */
public final class BadSegmentException extends RuntimeException {
  private static final long serialVersionUID = 1L;

  public BadSegmentException(final Path path, final String problem) {
    super("segment " + path + " is not used: " + problem);
  }
}

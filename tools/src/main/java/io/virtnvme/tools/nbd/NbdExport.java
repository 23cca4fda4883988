package io.virtnvme.tools.nbd;

import java.io.IOException;

/** What one NBD client reads; closed when that is gone. One thread. */
public interface NbdExport extends AutoCloseable {
  /** The one name; the empty name means it, too. */
  String name();

  long lengthBytes();

  /** Multiples of this are read best. */
  int blockBytes();

  /**
   * Reads a range within the length.
   *
   * @param bytes takes it, from index 0
   * @return 0, or an errno
   */
  int read(long offset, int count, byte[] bytes) throws IOException;

  @Override
  void close();
}

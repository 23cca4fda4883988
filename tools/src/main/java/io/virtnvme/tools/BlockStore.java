package io.virtnvme.tools;

import java.io.Closeable;
import java.io.IOException;

/**
 * Something outside of a pair that keeps blocks. One thread. After an IOException nothing but
 * {@link #close} makes sense.
 */
public interface BlockStore extends Closeable {
  long lengthBytes();

  /** Every offset and length is a multiple of this. */
  int blockBytes();

  boolean isReadOnly();

  /** Whether it is known when data are durable. */
  boolean canFlush();

  /**
   * Writes; durable after {@link #flush}.
   *
   * @param bytes the caller's again when this returns
   */
  void write(long offset, byte[] bytes, int from, int length) throws IOException;

  /** Has a range read as zeroes. */
  void zero(long offset, long length) throws IOException;

  /** Returns when everything was written and, if that can be known, durable. */
  void flush() throws IOException;

  /** Reads what was written before, into the first bytes. */
  void read(long offset, byte[] bytes, int length) throws IOException;
}

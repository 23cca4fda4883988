package io.virtnvme.tools.migrate;

import java.io.Closeable;
import java.io.IOException;

/**
 * Where a disk goes, as its source has it. One thread. An IOException from anything here is the end
 * of the attempt.
 */
interface Destination extends Closeable {
  /** Hears what the destination has. */
  @FunctionalInterface
  interface SumSink {
    /** A chunk has this checksum there. */
    void onSum(int chunk, long sum) throws IOException;
  }

  /**
   * Begins, before anything else.
   *
   * @param isMoved whether the disk was given to this destination in an attempt before
   * @return false when the destination has the disk already
   */
  boolean greet(DiskControl.Disk disk, boolean isMoved) throws IOException;

  /** Enters what the destination has; it forgets what is not known. */
  void readSums(ChunkTable table, SumSink sink) throws IOException;

  /** Has everything read again; hears of each chunk. */
  void verify(ChunkTable table, SumSink sink) throws IOException;

  /**
   * Writes a chunk.
   *
   * @return bytes that were sent for it
   */
  int write(ChunkTable table, int chunk, long sum, byte[] bytes, int at) throws IOException;

  /** Whether it takes {@link #refer}; known after the greeting. */
  boolean canRefer();

  /**
   * Has a chunk be what another one is.
   *
   * @return bytes that were sent for it
   */
  int refer(int chunk, long sum, int twin) throws IOException;

  /** Has chunks read as zeroes. */
  void zero(ChunkTable table, int first, int count) throws IOException;

  /** Looks whether the destination has something to say while it should only listen. */
  void expectNothing() throws IOException;

  /** Returns when everything of the pass is written. */
  void endPass(int number) throws IOException;

  /** Returns when the destination is what the table says, and durable. */
  void prepare(ChunkTable table) throws IOException;

  /** The source has let go for good. */
  void commit() throws IOException;
}

package io.virtnvme.tools.migrate;

import io.virtnvme.tools.BlockStore;
import java.io.IOException;
import java.util.BitSet;

/**
 * What keeps blocks and knows nothing of migrations: nobody takes over there, and what it has is
 * not known before it was written. Each pass ends with a flush, so that little is left for the last
 * one.
 */
final class StoreDestination implements Destination {
  private final BlockStore store;
  private final boolean verify;
  private final boolean mustFlush;

  /**
   * What a server keeps in its page cache takes long to write: it must not all wait for the end.
   */
  private static final long UNFLUSHED_BYTES_MAX = 1L << 30;

  private long unflushedBytes;
  private final byte[] readBytes = new byte[ChunkTable.CHUNK_BYTES];

  /** Written since everything was read again; with verify only. */
  private final BitSet unread = new BitSet();

  /**
   * A store to which nothing was written yet; {@link #close} closes it.
   *
   * @param verify what is written is read again
   * @param mustFlush whether the source counts on it that what was flushed stays
   */
  StoreDestination(final BlockStore store, final boolean verify, final boolean mustFlush) {
    this.store = store;
    this.verify = verify;
    this.mustFlush = mustFlush;
  }

  @Override
  public boolean greet(final DiskControl.Disk disk, final boolean isMoved) throws IOException {
    if (isMoved) {
      // On record only after everything was flushed here.
      return false;
    }
    if (store.isReadOnly()) {
      throw new ProtocolException("the destination is read-only");
    }
    if (store.lengthBytes() < disk.lengthBytes()) {
      throw new ProtocolException(
          "the disk has "
              + disk.lengthBytes()
              + " bytes, the destination only "
              + store.lengthBytes());
    }
    if (disk.lengthBytes() % store.blockBytes() != 0) {
      throw new ProtocolException(
          "the destination has blocks of "
              + store.blockBytes()
              + " bytes, the disk a length of "
              + disk.lengthBytes());
    }
    if (mustFlush && !store.canFlush()) {
      throw new ProtocolException("the destination cannot say that data are durable");
    }
    return true;
  }

  @Override
  public void readSums(final ChunkTable table, final SumSink sink) {
    // To read all of it takes as long as to write it.
    table.forget();
  }

  @Override
  public void verify(final ChunkTable table, final SumSink sink) throws IOException {
    for (int chunk = 0; chunk < table.count(); chunk++) {
      sink.onSum(chunk, readSum(table, chunk));
    }
    unread.clear();
  }

  private long readSum(final ChunkTable table, final int chunk) throws IOException {
    final int length = table.length(chunk);
    store.read(table.offset(chunk), readBytes, length);
    return ChunkTable.isZero(readBytes, 0, length)
        ? table.zeroSum(chunk)
        : table.compute(readBytes, 0, length);
  }

  @Override
  public int write(
      final ChunkTable table, final int chunk, final long sum, final byte[] bytes, final int at)
      throws IOException {
    final int length = table.length(chunk);
    store.write(table.offset(chunk), bytes, at, length);
    onWritten(chunk, 1, length);
    return length;
  }

  @Override
  public boolean canRefer() {
    return false;
  }

  @Override
  public int refer(final int chunk, final long sum, final int twin) {
    throw new UnsupportedOperationException("a store does not copy");
  }

  @Override
  public void zero(final ChunkTable table, final int first, final int count) throws IOException {
    final int last = first + count - 1;
    final long length = table.offset(last) + table.length(last) - table.offset(first);
    store.zero(table.offset(first), length);
    onWritten(first, count, length);
  }

  private void onWritten(final int first, final int count, final long lengthBytes)
      throws IOException {
    unflushedBytes += lengthBytes;
    if (unflushedBytes >= UNFLUSHED_BYTES_MAX) {
      unflushedBytes = 0;
      store.flush();
    }
    if (verify) {
      unread.set(first, first + count);
    }
  }

  @Override
  public void expectNothing() {
    // It has nothing to say but what it answers.
  }

  @Override
  public void endPass(final int number) throws IOException {
    store.flush();
  }

  @Override
  public void prepare(final ChunkTable table) throws IOException {
    for (int chunk = unread.nextSetBit(0); chunk >= 0; chunk = unread.nextSetBit(chunk + 1)) {
      if (!table.is(chunk, readSum(table, chunk))) {
        throw new ProtocolException("chunk " + chunk + " cannot be read as it was written");
      }
    }
    unread.clear();
    store.flush();
  }

  @Override
  public void commit() {
    // Nobody is there who could begin.
  }

  @Override
  public void close() throws IOException {
    store.close();
  }
}

package io.virtnvme.tools;

import io.virtnvme.ipc.memory.Mem;
import io.virtnvme.ipc.qpair.QpairClient;
import io.virtnvme.ipc.qpair.QpairException;
import io.virtnvme.ipc.qpair.QpairRequest;
import java.io.IOException;
import java.util.concurrent.TimeUnit;

/**
 * Reads a range of a volume in order, with several requests in flight: chunk number n has buffer n
 * modulo their count. One thread.
 */
public final class VolumeReader {
  /** Hears of chunks, in the order of the volume. */
  @FunctionalInterface
  public interface ChunkSink {
    /**
     * A chunk was read, or cannot be.
     *
     * @param offset in the volume, bytes
     * @param bytes the chunk from index 0; the reader's again afterwards
     * @param count bytes of the chunk
     * @param errno 0, or why it cannot be read
     */
    void onChunk(long offset, byte[] bytes, int count, int errno) throws IOException;
  }

  private static final int PENDING = -1;

  private final QpairClient client;
  private final int depth;
  private final int chunkBytes;
  private final long timeoutNs;
  private final int[] results;
  private final byte[] chunk;

  /**
   * A reader on an attached client with nothing in flight.
   *
   * @param depth requests in flight; the pool has as many chunks
   * @param chunkBytes a multiple of the block length
   * @param timeoutNs longest time without a completion
   */
  public VolumeReader(
      final QpairClient client, final int depth, final int chunkBytes, final long timeoutNs) {
    this.client = client;
    this.depth = depth;
    this.chunkBytes = chunkBytes;
    this.timeoutNs = timeoutNs;
    this.results = new int[depth + 1];
    this.chunk = new byte[chunkBytes];
  }

  /**
   * Reads {@code begin} to {@code end}, multiples of the block length.
   *
   * @throws QpairException when the pair is gone, or nothing completes in time
   */
  public void read(final long begin, final long end, final ChunkSink sink) throws IOException {
    long submitted = begin;
    long taken = begin;
    int submitSlot = 0;
    int takeSlot = 0;
    while (taken < end) {
      while (submitted < end && submitted - taken < room()) {
        submit(submitSlot, submitted, length(submitted, end));
        submitted += chunkBytes;
        submitSlot = (submitSlot + 1) % depth;
      }
      awaitResult(takeSlot);
      final int count = length(taken, end);
      Mem.copyOut(client.poolAddress() + (long) takeSlot * chunkBytes, chunk, 0, count);
      sink.onChunk(taken, chunk, count, results[takeSlot]);
      taken += chunkBytes;
      takeSlot = (takeSlot + 1) % depth;
    }
  }

  /**
   * Reads a range, also amidst another one: a sink may call it. The pool has room for it behind the
   * chunks, and the queue for one request more.
   *
   * @param bytes takes it, from index 0
   * @return 0, or why it cannot be read
   * @throws QpairException as {@link #read}
   */
  public int readAside(final long offset, final byte[] bytes, final int count) {
    submit(depth, offset, count);
    awaitResult(depth);
    Mem.copyOut(client.poolAddress() + room(), bytes, 0, count);
    return results[depth];
  }

  private long room() {
    return (long) depth * chunkBytes;
  }

  private int length(final long offset, final long end) {
    return (int) Math.min(chunkBytes, end - offset);
  }

  private void submit(final int slot, final long offset, final int count) {
    final int blockBytes = client.geometry().blockBytes();
    results[slot] = PENDING;
    client.submit(
        QpairRequest.READ,
        0,
        slot,
        offset / blockBytes,
        count / blockBytes,
        (long) slot * chunkBytes);
  }

  private void awaitResult(final int slot) {
    while (results[slot] == PENDING) {
      if (!client.await(timeoutNs)) {
        throw new QpairException(
            "no completion within " + TimeUnit.NANOSECONDS.toSeconds(timeoutNs) + " s");
      }
      client.poll((id, errno) -> results[id] = errno, depth + 1);
    }
  }
}

package io.virtnvme.tools.migrate;

import io.virtnvme.ipc.memory.Mem;
import io.virtnvme.ipc.qpair.QpairClient;
import io.virtnvme.ipc.qpair.QpairException;
import io.virtnvme.ipc.qpair.QpairRequest;
import io.virtnvme.ipc.sys.Errno;
import java.io.IOException;
import java.util.Arrays;
import java.util.concurrent.TimeUnit;

/**
 * Writes chunks to a volume with several requests in flight; those that overlap are put in order.
 * Slot n of the pool is the buffer of request n. One thread.
 */
final class VolumeWriter {
  static final int DEPTH = 16;

  private static final int ZEROES_MAX = 16 << 20;
  private static final long TIMEOUT_NS = TimeUnit.SECONDS.toNanos(60);

  private final QpairClient client;
  private final int blockBytes;
  private final long[] begins = new long[DEPTH];
  private final long[] ends = new long[DEPTH];
  private final QpairClient.Listener listener = this::onEnd;
  private int firstErrno;

  /** On an attached client with nothing in flight and a pool of {@link #DEPTH} chunks. */
  VolumeWriter(final QpairClient client) {
    this.client = client;
    this.blockBytes = client.geometry().blockBytes();
    Arrays.fill(begins, -1);
  }

  void write(final long offset, final byte[] bytes, final int from, final int length)
      throws IOException {
    final int slot = freeSlot(offset, offset + length);
    final long buffer = (long) slot * ChunkTable.CHUNK_BYTES;
    Mem.copyIn(bytes, from, client.poolAddress() + buffer, length);
    submit(QpairRequest.WRITE, slot, offset, length, buffer);
  }

  /** Reads what was written before. */
  void read(final long offset, final byte[] bytes, final int length) throws IOException {
    final int slot = freeSlot(offset, offset + length);
    final long buffer = (long) slot * ChunkTable.CHUNK_BYTES;
    submit(QpairRequest.READ, slot, offset, length, buffer);
    while (begins[slot] >= 0) {
      take();
    }
    check();
    Mem.copyOut(client.poolAddress() + buffer, bytes, 0, length);
  }

  void zero(final long offset, final long length) throws IOException {
    for (long done = 0; done < length; done += ZEROES_MAX) {
      final long from = offset + done;
      final int part = (int) Math.min(ZEROES_MAX, length - done);
      submit(QpairRequest.WRITE_ZEROES, freeSlot(from, from + part), from, part, 0);
    }
  }

  /** Returns when everything was written. */
  void drain() throws IOException {
    while (client.inFlightCount() > 0) {
      take();
    }
    check();
  }

  /** Returns when everything is durable. */
  void flush() throws IOException {
    drain();
    submit(QpairRequest.FLUSH, 0, 0, 0, 0);
    drain();
  }

  private void submit(
      final int opcode, final int slot, final long offset, final int length, final long buffer) {
    begins[slot] = offset;
    ends[slot] = offset + length;
    client.submit(opcode, 0, slot, offset / blockBytes, length / blockBytes, buffer);
  }

  private int freeSlot(final long begin, final long end) throws IOException {
    int free = -1;
    while (free < 0) {
      boolean overlaps = false;
      for (int slot = 0; slot < DEPTH; slot++) {
        if (begins[slot] < 0) {
          free = slot;
        } else {
          overlaps |= begins[slot] < end && ends[slot] > begin;
        }
      }
      if (overlaps || free < 0) {
        free = -1;
        take();
      }
    }
    check();
    return free;
  }

  private void take() {
    if (!client.await(TIMEOUT_NS)) {
      throw new QpairException(
          "no completion within " + TimeUnit.NANOSECONDS.toSeconds(TIMEOUT_NS) + " s");
    }
    client.poll(listener, DEPTH);
  }

  private void onEnd(final int slot, final int errno) {
    begins[slot] = -1;
    if (firstErrno == 0) {
      firstErrno = errno;
    }
  }

  private void check() throws IOException {
    if (firstErrno != 0) {
      throw new IOException("the disk cannot be used: " + Errno.text(firstErrno));
    }
  }
}

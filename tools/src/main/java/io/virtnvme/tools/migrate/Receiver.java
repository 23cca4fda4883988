package io.virtnvme.tools.migrate;

import io.virtnvme.ipc.qpair.QpairClient;
import io.virtnvme.ipc.sys.Errno;
import io.virtnvme.master.rpc.BdevMigration;
import io.virtnvme.master.rpc.BdevMigration.State;
import io.virtnvme.master.rpc.RpcException;
import io.virtnvme.tools.VolumeReader;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.util.BitSet;
import java.util.concurrent.TimeUnit;

/**
 * One connection of a source, as the destination has it. One thread. What it knows of the disk it
 * has read from the disk: so another connection, also of another receiver, goes on from there.
 */
final class Receiver {
  static final int POOL_CHUNKS = VolumeWriter.DEPTH;

  private static final int READ_BYTES = 1 << 19;
  private static final int READ_DEPTH = POOL_CHUNKS * ChunkTable.CHUNK_BYTES / READ_BYTES;
  private static final int SUMS_MAX = 8192;
  private static final long TIMEOUT_NS = TimeUnit.SECONDS.toNanos(60);

  private final Wire wire;
  private final DiskControl control;
  private final VolumeWriter writer;
  private final VolumeReader reader;
  private final String peer;
  private Hello hello;
  private ChunkTable table;
  private final byte[] copied = new byte[ChunkTable.CHUNK_BYTES];

  /** Written since everything was read again; with verify only. */
  private final BitSet unread = new BitSet();

  /** As it is on record. */
  private State state;

  /**
   * A connection on which nothing was said yet.
   *
   * @param client with a pool of {@link #POOL_CHUNKS} chunks, may write; nobody else uses it
   * @param peer who it is, for people
   */
  Receiver(
      final Wire wire, final DiskControl control, final QpairClient client, final String peer) {
    this.wire = wire;
    this.control = control;
    this.writer = new VolumeWriter(client);
    this.reader = new VolumeReader(client, READ_DEPTH, READ_BYTES, TIMEOUT_NS);
    this.peer = peer;
  }

  /**
   * Serves the source until the disk is here or the connection ends.
   *
   * @return whether the disk is here
   * @throws IOException when the connection broke, or what came made no sense: the source has been
   *     told why
   */
  boolean serve() throws IOException {
    try {
      return welcome() || receive();
    } catch (final IOException | RpcException e) {
      tell(String.valueOf(e.getMessage()));
      throw e;
    }
  }

  private void tell(final String why) {
    try {
      wire.sendError(why);
    } catch (final IOException e) {
      // It is gone: what went wrong before is what counts.
      return;
    }
  }

  private boolean welcome() throws IOException {
    wire.expect(FrameType.HELLO);
    hello = Hello.read(wire.content());
    final DiskControl.Disk disk = control.disk();
    final String problem = hello.problem(disk.blockBytes(), disk.lengthBytes());
    if (problem != null) {
      throw new ProtocolException(problem);
    }
    final BdevMigration before = disk.migration();
    final boolean isSame = before.source().equals(hello.uuid());
    final boolean isHere = before.state() == State.OWNED && isSame && hello.isMoved();
    if (isHere) {
      // The word that it is was lost, perhaps before guests were let in.
      control.migration(before);
    } else if (hello.isMoved() && (!isSame || before.state() == State.NONE)) {
      throw new ProtocolException(
          "the source has given its disk away, and this destination has never been asked to take"
              + " it: is it the wrong one?");
    } else {
      record(State.RECEIVING);
    }
    wire.payload()
        .putShort((short) Hello.MAJOR)
        .putShort((short) Hello.MINOR)
        .put((byte) (isHere ? 1 : 0));
    wire.send(FrameType.WELCOME);
    wire.flush();
    return isHere;
  }

  /** Refused by the master where the disk is another source's, or somebody's who uses it. */
  private void record(final State next) throws IOException {
    control.migration(new BdevMigration(next, hello.uuid(), peer));
    state = next;
  }

  private boolean receive() throws IOException {
    table = new ChunkTable(hello.lengthBytes());
    sendSums();
    while (true) {
      final FrameType type = wire.receive();
      if (type == null) {
        writer.drain();
        return false;
      }
      switch (type) {
        case CHUNK -> onChunk(wire.content());
        case ZERO -> onZero(wire.content());
        case REFERENCE -> onReference(wire.content());
        case PASS_END -> {
          final int pass = wire.content().getInt();
          writer.drain();
          wire.payload().putInt(pass);
          wire.send(FrameType.PASS_DONE);
          wire.flush();
        }
        case VERIFY -> {
          writer.flush();
          sendSums();
        }
        case PREPARE -> onPrepare(wire.content().getLong());
        case COMMIT -> {
          if (state != State.PREPARED) {
            throw new ProtocolException("COMMIT without PREPARE");
          }
          record(State.OWNED);
          wire.sendEmpty(FrameType.COMMITTED);
          return true;
        }
        case ERROR -> throw new IOException("the source says: " + wire.text());
        case HELLO, WELCOME, SUMS, PASS_DONE, PREPARED, COMMITTED ->
            throw new ProtocolException("frame " + type + " came out of turn");
      }
    }
  }

  /** Reads the disk, as far as the source's goes, and tells what is on it. */
  private void sendSums() throws IOException {
    unread.clear();
    final int[] next = {0};
    reader.read(
        0,
        table.lengthBytes(),
        (offset, bytes, count, errno) -> {
          check(errno);
          for (int at = 0; at < count; at += ChunkTable.CHUNK_BYTES) {
            final int chunk = next[0]++;
            table.sum(chunk, sumOf(chunk, bytes, at));
            if (next[0] % SUMS_MAX == 0 || next[0] == table.count()) {
              sendSums((next[0] - 1) / SUMS_MAX * SUMS_MAX, next[0]);
            }
          }
        });
  }

  private static void check(final int errno) throws IOException {
    if (errno != 0) {
      throw new IOException("the disk cannot be read: " + Errno.text(errno));
    }
  }

  private long sumOf(final int chunk, final byte[] bytes, final int at) {
    final int length = table.length(chunk);
    return ChunkTable.isZero(bytes, at, length)
        ? table.zeroSum(chunk)
        : table.compute(bytes, at, length);
  }

  private void sendSums(final int first, final int end) throws IOException {
    final ByteBuffer payload = wire.payload().putLong(first);
    for (int chunk = first; chunk < end; chunk++) {
      payload.putLong(table.sum(chunk));
    }
    wire.send(FrameType.SUMS);
    wire.flush();
  }

  /** What was prepared is changed again: the source goes on. */
  private void changing() throws IOException {
    if (state != State.RECEIVING) {
      record(State.RECEIVING);
    }
  }

  private void onChunk(final ByteBuffer content) throws IOException {
    final int chunk = index(content.getLong());
    final long sum = content.getLong();
    final int length = table.length(chunk);
    if (content.remaining() != length) {
      throw new ProtocolException(
          "chunk " + chunk + " has " + length + " bytes, not " + content.remaining());
    }
    final int at = content.arrayOffset() + content.position();
    if (table.compute(content.array(), at, length) != sum) {
      throw new ProtocolException("chunk " + chunk + " does not have its checksum");
    }
    changing();
    writer.write(table.offset(chunk), content.array(), at, length);
    table.sum(chunk, sum);
    onWritten(chunk, chunk + 1);
  }

  private void onReference(final ByteBuffer content) throws IOException {
    final int chunk = index(content.getLong());
    final long sum = content.getLong();
    final int twin = index(content.getLong());
    final int length = table.length(chunk);
    if (table.length(twin) != length || table.sum(twin) != sum) {
      throw new ProtocolException("chunk " + chunk + " is not what chunk " + twin + " is here");
    }
    changing();
    writer.read(table.offset(twin), copied, length);
    if (table.compute(copied, 0, length) != sum) {
      throw new ProtocolException("chunk " + twin + " cannot be read as it was written");
    }
    writer.write(table.offset(chunk), copied, 0, length);
    table.sum(chunk, sum);
    onWritten(chunk, chunk + 1);
  }

  private void onZero(final ByteBuffer content) throws IOException {
    final int first = index(content.getLong());
    final int count = content.getInt();
    if (count < 1 || count > table.count() - first) {
      throw new ProtocolException("zeroes beyond the disk: first=" + first + " count=" + count);
    }
    changing();
    final int last = first + count - 1;
    writer.zero(table.offset(first), table.offset(last) + table.length(last) - table.offset(first));
    for (int chunk = first; chunk <= last; chunk++) {
      table.sum(chunk, table.zeroSum(chunk));
    }
    onWritten(first, first + count);
  }

  private int index(final long chunk) throws ProtocolException {
    if (chunk < 0 || chunk >= table.count()) {
      throw new ProtocolException("no such chunk: " + chunk + " of " + table.count());
    }
    return (int) chunk;
  }

  private void onWritten(final int first, final int end) {
    if (hello.verify()) {
      unread.set(first, end);
    }
  }

  private void onPrepare(final long digest) throws IOException {
    writer.flush();
    if (table.digest() != digest) {
      throw new ProtocolException(
          "the disk here is not what the source has sent: digest of the checksums "
              + Long.toHexString(table.digest())
              + ", not "
              + Long.toHexString(digest));
    }
    readAgain();
    record(State.PREPARED);
    wire.sendEmpty(FrameType.PREPARED);
  }

  private void readAgain() throws IOException {
    for (int first = unread.nextSetBit(0); first >= 0; first = unread.nextSetBit(first + 1)) {
      final int chunk = first;
      reader.read(
          table.offset(chunk),
          table.offset(chunk) + table.length(chunk),
          (offset, bytes, count, errno) -> {
            check(errno);
            if (sumOf(chunk, bytes, 0) != table.sum(chunk)) {
              throw new ProtocolException("chunk " + chunk + " cannot be read as it was written");
            }
          });
    }
    unread.clear();
  }
}

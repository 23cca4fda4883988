package io.virtnvme.tools.migrate;

import java.io.IOException;
import java.nio.ByteBuffer;

/** A {@code virtnvme receive}, which takes over. */
final class PeerDestination implements Destination {
  private final Wire wire;
  private final String diskName;
  private final boolean verify;
  private int minor;

  /**
   * A connection on which nothing was said yet.
   *
   * @param diskName at the source, for people
   * @param verify what is written is read again
   */
  PeerDestination(final Wire wire, final String diskName, final boolean verify) {
    this.wire = wire;
    this.diskName = diskName;
    this.verify = verify;
  }

  @Override
  public boolean greet(final DiskControl.Disk disk, final boolean isMoved) throws IOException {
    new Hello(
            Hello.MAJOR,
            Hello.MINOR,
            disk.blockBytes(),
            ChunkTable.CHUNK_BYTES,
            isMoved,
            verify,
            disk.lengthBytes(),
            disk.uuid(),
            diskName)
        .put(wire.payload());
    wire.send(FrameType.HELLO);
    wire.flush();
    wire.expect(FrameType.WELCOME);
    final int major = wire.content().getShort();
    if (major != Hello.MAJOR) {
      throw new ProtocolException(
          "the destination speaks version " + major + ", this end " + Hello.MAJOR);
    }
    minor = wire.content().getShort();
    final boolean isThere = wire.content().get() != 0;
    if (isThere && !isMoved) {
      throw new ProtocolException("the destination has a disk that was never given to it");
    }
    return !isThere;
  }

  @Override
  public void readSums(final ChunkTable table, final SumSink sink) throws IOException {
    int next = 0;
    while (next < table.count()) {
      wire.expect(FrameType.SUMS);
      final ByteBuffer content = wire.content();
      final long first = content.getLong();
      final int count = content.remaining() / Long.BYTES;
      if (first != next || count > table.count() - next || content.remaining() % Long.BYTES != 0) {
        throw new ProtocolException(
            "checksums of " + count + " chunks from " + first + ", not from " + next);
      }
      for (; content.hasRemaining(); next++) {
        sink.onSum(next, content.getLong());
      }
    }
  }

  @Override
  public void verify(final ChunkTable table, final SumSink sink) throws IOException {
    wire.sendEmpty(FrameType.VERIFY);
    readSums(table, sink);
  }

  @Override
  public int write(
      final ChunkTable table, final int chunk, final long sum, final byte[] bytes, final int at)
      throws IOException {
    wire.payload().putLong(chunk).putLong(sum).put(bytes, at, table.length(chunk));
    return wire.send(FrameType.CHUNK);
  }

  @Override
  public boolean canRefer() {
    return minor >= 1;
  }

  @Override
  public int refer(final int chunk, final long sum, final int twin) throws IOException {
    wire.payload().putLong(chunk).putLong(sum).putLong(twin);
    return wire.send(FrameType.REFERENCE);
  }

  @Override
  public void zero(final ChunkTable table, final int first, final int count) throws IOException {
    wire.payload().putLong(first).putInt(count);
    wire.send(FrameType.ZERO);
  }

  @Override
  public void expectNothing() throws IOException {
    wire.expectNothing();
  }

  @Override
  public void endPass(final int number) throws IOException {
    wire.payload().putInt(number);
    wire.send(FrameType.PASS_END);
    wire.flush();
    wire.expect(FrameType.PASS_DONE);
    if (wire.content().getInt() != number) {
      throw new ProtocolException("another pass is done than was sent");
    }
  }

  @Override
  public void prepare(final ChunkTable table) throws IOException {
    wire.payload().putLong(table.digest());
    wire.send(FrameType.PREPARE);
    wire.flush();
    wire.expect(FrameType.PREPARED);
  }

  @Override
  public void commit() throws IOException {
    wire.sendEmpty(FrameType.COMMIT);
    wire.expect(FrameType.COMMITTED);
  }

  @Override
  public void close() throws IOException {
    wire.close();
  }
}
